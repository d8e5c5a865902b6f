//! What a replay says: for people a table, for programs JSON.
//!
//! Flows are handed in capture by capture, so that NDJSON needs no memory for them; the other forms
//! put them after the summary and keep them until then.

mod lines;
mod table;

use std::io::{self, Write};

use clap::ValueEnum;
use imblock_common::layout::SERVICES_MAX;

use super::flow::IdentifiedFlow;
use super::{ReplayRequest, ReplaySummary};
use crate::policy::Plan;
use crate::policy::plan::ServicePlan;
use lines::{Document, FlowLine};

/// The form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// One document.
    Json,
    /// One object a line: the identified flows with `--flows`, else the document.
    Ndjson,
}

/// A report that is being written.
pub(super) struct Report<'a> {
    format: Format,
    wants_flows: bool,
    names: Names<'a>,
    /// Identified flows by capture, for the forms that put them at the end.
    flows: Vec<(String, Vec<IdentifiedFlow>)>,
    out: &'a mut dyn Write,
}

impl<'a> Report<'a> {
    pub(super) fn new(request: &ReplayRequest, plan: &'a Plan, out: &'a mut dyn Write) -> Self {
        Self {
            format: request.format,
            wants_flows: request.flows,
            names: Names::new(plan),
            flows: Vec::new(),
            out,
        }
    }

    /// Takes the identified flows of a capture.
    pub(super) fn flows(&mut self, capture: &str, flows: &[IdentifiedFlow]) -> io::Result<()> {
        if !self.wants_flows || flows.is_empty() {
            return Ok(());
        }
        if self.format != Format::Ndjson {
            self.flows.push((capture.to_owned(), flows.to_vec()));
            return Ok(());
        }
        for flow in flows {
            self.line(&FlowLine::new(capture, flow, &self.names))?;
        }
        Ok(())
    }

    /// Writes what is left to write.
    pub(super) fn finish(self, summary: &ReplaySummary) -> io::Result<()> {
        let lines = self.wants_flows.then(|| {
            let flows = self.flows.iter();
            flows
                .flat_map(|(capture, flows)| {
                    let names = &self.names;
                    flows.iter().map(|flow| FlowLine::new(capture, flow, names))
                })
                .collect()
        });
        let document = Document::new(summary, &self.names, lines);
        match self.format {
            Format::Table => table::write(self.out, &document)?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut *self.out, &document)?;
                writeln!(self.out)?;
            }
            Format::Ndjson if self.wants_flows => {}
            Format::Ndjson => {
                serde_json::to_writer(&mut *self.out, &document)?;
                writeln!(self.out)?;
            }
        }
        self.out.flush()
    }

    fn line(&mut self, line: &FlowLine<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut *self.out, line)?;
        writeln!(self.out)
    }
}

/// What people call what the tables know by number.
struct Names<'a> {
    policy: &'a str,
    services: Vec<Option<&'a ServicePlan>>,
}

impl<'a> Names<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut services = vec![None; SERVICES_MAX];
        for service in &plan.services {
            if let Some(slot) = services.get_mut(usize::from(service.number)) {
                *slot = Some(service);
            }
        }
        Self {
            policy: &plan.name,
            services,
        }
    }

    /// Id of a service. A plan names every service that its tables hold.
    fn id(&self, number: u16) -> &'a str {
        self.service(number).map_or("?", |service| &service.id)
    }

    fn category(&self, number: u16) -> &'a str {
        self.service(number)
            .map_or("?", |service| &service.category)
    }

    fn service(&self, number: u16) -> Option<&'a ServicePlan> {
        self.services.get(usize::from(number)).copied().flatten()
    }
}
