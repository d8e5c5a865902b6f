//! `completions` and `man`: what packagers install beside the binary.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::CommandError;
use crate::cli::Cli;
use crate::exit::Exit;

/// What the manual page says beyond the command line, in roff.
const ENVIRONMENT_AND_FILES: &str = r".SH ENVIRONMENT
.TP
\fBIMBLOCK_STATE_DIR\fR
Directory of the state, instead of /var/lib/imblock.
.TP
\fBIMBLOCK_BPFFS\fR
Mount point of the BPF file system, instead of /sys/fs/bpf. It is mounted there if it is not yet.
.TP
\fBNO_COLOR\fR
If set, output to a terminal has no colour. Output to a pipe or file never has.
.SH FILES
.TP
\fI/sys/fs/bpf/imblock/NAME\fR
Maps and links of the instance NAME: while they are there, it enforces.
.TP
\fI/var/lib/imblock/NAME/state.json\fR
What was set by hand, and by whom. Survives a restart.
";

pub(super) fn completions(shell: clap_complete::Shell) -> Result<Exit, CommandError> {
    // Into memory first: the generator panics when its reader goes away.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "imblock", &mut script);
    print(&script)
}

/// One page for all commands, as one looks for an option by its name and not by its command.
pub(super) fn man() -> Result<Exit, CommandError> {
    let mut command = Cli::command();
    // Gives the commands their full names.
    command.build();
    let mut page = Vec::new();
    let top = Man::new(command.clone())
        .manual("Network administration")
        .section("8");
    top.render_title(&mut page)?;
    top.render_name_section(&mut page)?;
    page.extend(synopsis(&top, &command)?.bytes());
    top.render_description_section(&mut page)?;
    top.render_options_section(&mut page)?;
    describe_commands(&command, &mut page)?;
    page.extend_from_slice(ENVIRONMENT_AND_FILES.as_bytes());
    let mut exit_codes = Vec::new();
    top.render_extra_section(&mut exit_codes)?;
    page.extend(replaced(&exit_codes, ".SH EXTRA", ".SH \"EXIT STATUS\"").bytes());
    print(&page)
}

/// Every command that can be given, those of `policy` one by one.
fn describe_commands(of: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    for command in of.get_subcommands().filter(|c| c.get_name() != "help") {
        if command.has_subcommands() {
            describe_commands(command, page)?;
            continue;
        }
        let name = command.get_bin_name().unwrap_or(command.get_name());
        writeln!(page, ".SH \"{}\"", name.to_uppercase())?;
        // What all have in common is described once, above.
        let own = command.clone().mut_args(|arg| {
            let common = matches!(arg.get_id().as_str(), "instance" | "help");
            arg.hide(common)
        });
        let man = Man::new(own.clone());
        let mut sections = Vec::new();
        man.render_description_section(&mut sections)?;
        sections.extend(synopsis(&man, &own)?.bytes());
        man.render_options_section(&mut sections)?;
        page.extend(replaced(&sections, ".SH ", ".SS ").bytes());
    }
    Ok(())
}

/// How a command is written. The generator leaves out that options have values.
fn synopsis(man: &Man, command: &clap::Command) -> io::Result<String> {
    let mut section = Vec::new();
    man.render_synopsis_section(&mut section)?;
    let mut section = String::from_utf8_lossy(&section).into_owned();
    let options = command
        .get_opts()
        .filter(|option| option.get_action().takes_values());
    for (option, long) in options.filter_map(|option| Some((option, option.get_long()?))) {
        let long = format!(r"\fB\-\-{}\fR", long.replace('-', r"\-"));
        let values = option.get_value_names().unwrap_or_default().join(" ");
        section = section.replace(&format!("{long}]"), &format!(r"{long} \fI<{values}>\fR]"));
    }
    Ok(section)
}

fn replaced(roff: &[u8], from: &str, to: &str) -> String {
    String::from_utf8_lossy(roff).replace(from, to)
}

fn print(bytes: &[u8]) -> Result<Exit, CommandError> {
    let mut out = io::stdout();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(Exit::Ok)
}
