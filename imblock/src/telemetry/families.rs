//! How a metric family is written: description, then samples.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Labels of a sample: names and values. Values are escaped when written.
pub(super) type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// What a family is. `name` is without unit and suffix, which the encoder appends.
#[derive(Clone, Copy)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) unit: Option<Quantity>,
    pub(super) help: &'static str,
}

/// What is counted, as the end of a metric's name says it.
#[derive(Clone, Copy)]
pub(super) enum Quantity {
    Packets,
    Bytes,
    Seconds,
}

impl Quantity {
    fn unit(self) -> Unit {
        match self {
            Self::Packets => Unit::Other("packets".to_owned()),
            Self::Bytes => Unit::Bytes,
            Self::Seconds => Unit::Seconds,
        }
    }
}

impl Family {
    /// Writes counters.
    pub(super) fn counters<'a, const N: usize>(
        self,
        to: &mut DescriptorEncoder<'_>,
        samples: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) -> fmt::Result {
        self.describe(to, MetricType::Counter, |family| {
            for (labels, value) in samples {
                ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
            }
            Ok(())
        })
    }

    /// Writes a counter without labels.
    pub(super) fn counter(self, to: &mut DescriptorEncoder<'_>, value: u64) -> fmt::Result {
        self.describe(to, MetricType::Counter, |family| {
            family.encode_counter::<[(&str, &str); 0], u64, u64>(&value, None)
        })
    }

    /// Writes gauges.
    pub(super) fn gauges<'a, const N: usize>(
        self,
        to: &mut DescriptorEncoder<'_>,
        samples: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) -> fmt::Result {
        self.describe(to, MetricType::Gauge, |family| {
            for (labels, value) in samples {
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
            Ok(())
        })
    }

    /// Writes a gauge without labels.
    pub(super) fn gauge(self, to: &mut DescriptorEncoder<'_>, value: u64) -> fmt::Result {
        self.describe(to, MetricType::Gauge, |family| family.encode_gauge(&value))
    }

    /// Writes text as the labels of a sample that is always 1.
    pub(super) fn info<const N: usize>(
        self,
        to: &mut DescriptorEncoder<'_>,
        labels: Labels<'_, N>,
    ) -> fmt::Result {
        self.describe(to, MetricType::Info, |family| family.encode_info(&labels))
    }

    fn describe(
        self,
        to: &mut DescriptorEncoder<'_>,
        kind: MetricType,
        samples: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let unit = self.unit.map(Quantity::unit);
        let mut family = to.encode_descriptor(self.name, self.help, unit.as_ref(), kind)?;
        samples(&mut family)
    }
}
