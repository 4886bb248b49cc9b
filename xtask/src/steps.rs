//! Named steps of a command: all of them in order, or those that the command line names.

use anyhow::bail;
use std::ffi::OsString;

/// One step, under the name that the command line takes.
pub(crate) struct Step<Run> {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: Run,
}

/// The steps that `names` ask for, always in the order of `all`; every step when nothing is named.
pub(crate) fn choose<'a, Run>(all: &'a [Step<Run>], names: &[OsString]) -> anyhow::Result<Vec<&'a Step<Run>>> {
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|step| *name == step.name)) {
        bail!("there is no step {}\n\n{}", unknown.display(), list(all));
    }
    let chosen = |step: &&Step<Run>| names.is_empty() || names.iter().any(|name| name == step.name);
    Ok(all.iter().filter(chosen).collect())
}

fn list<Run>(all: &[Step<Run>]) -> String {
    let lines: Vec<_> = all
        .iter()
        .map(|step| format!("  {:<11} {}", step.name, step.about))
        .collect();
    format!("Steps:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[Step<()>] = &[
        Step {
            name: "first",
            about: "comes first",
            run: (),
        },
        Step {
            name: "second",
            about: "comes second",
            run: (),
        },
    ];

    fn chosen(names: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let names: Vec<OsString> = names.iter().map(Into::into).collect();
        Ok(choose(STEPS, &names)?.iter().map(|step| step.name).collect())
    }

    #[test]
    fn steps_run_in_their_own_order_and_unknown_ones_are_refused_with_a_list() {
        assert_eq!(chosen(&[]).unwrap(), ["first", "second"]);
        assert_eq!(chosen(&["second"]).unwrap(), ["second"]);
        assert_eq!(chosen(&["second", "first"]).unwrap(), ["first", "second"]);
        let error = chosen(&["first", "third"]).unwrap_err().to_string();
        assert!(error.contains("no step third"), "{error}");
        assert!(error.contains("second      comes second"), "{error}");
    }
}
