//! The script of an array, which is submitted or run by hand.

use std::fs;
use std::path::PathBuf;

use super::Slurm;
use crate::plan::quote;
use crate::runner::Array;

/// Seconds before a time limit at which Slurm asks a task to save and exit. It may do so earlier, and again.
const SIGNAL: &str = "--signal=B:TERM@90";

impl Slurm {
    /// Writes an array's script and the commands of its tasks, to be submitted or run by hand.
    pub(super) fn write_script(&self, array: &Array) -> std::io::Result<PathBuf> {
        let path = |end: &str| self.folder.join(format!("{}{end}", array.name));
        let indices: Vec<u32> = array.commands.iter().map(|(index, _)| *index).collect();
        let commands: String = array.commands.iter().map(|(index, command)| format!("{index} {command}\n")).collect();
        let here = std::env::current_dir()?;
        let at_once = self.at_once.map_or(String::new(), |count| format!("%{count}"));
        let mut script = format!(
            "#!/bin/bash\n\
             # {} tasks; each is a line of {}.commands, found by its index.\n\
             # By hand: SLURM_ARRAY_TASK_ID={} bash {}\n\
             #SBATCH --job-name={}\n#SBATCH --array={}{at_once}\n#SBATCH --output={}\n#SBATCH --open-mode=append\n",
            indices.len(),
            array.name,
            indices.first().copied().unwrap_or_default(),
            quote(&path(".sh").display().to_string()),
            array.name,
            ranges(&indices),
            // A `%` of the path is no pattern of Slurm's.
            in_script(&format!("{}.%a.out", path("").display().to_string().replace('%', "%%"))),
        );
        // Slurm starts a task again that was pre-empted or whose node failed; the driver all others.
        for flag in ["--requeue", "--kill-on-invalid-dep=yes", SIGNAL]
            .into_iter()
            .chain(array.request.iter().map(String::as_str))
        {
            script += &format!("#SBATCH {}\n", in_script(flag));
        }
        script += &format!(
            "cd {} || exit\ncommand=$(sed -n \"s/^${{SLURM_ARRAY_TASK_ID:?}} //p\" {})\neval \"exec $command\"\n",
            quote(&here.display().to_string()),
            quote(&path(".commands").display().to_string()),
        );
        fs::create_dir_all(&self.folder)?;
        fs::write(path(".commands"), commands)?;
        fs::write(path(".sh"), script)?;
        Ok(path(".sh"))
    }
}

/// Indices as ranges: `0-3,7`.
fn ranges(indices: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &index in indices {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => ranges.push((index, index)),
        }
    }
    let write = |(first, last): &(u32, u32)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    ranges.iter().map(write).collect::<Vec<_>>().join(",")
}

/// A word of an `#SBATCH` line, which Slurm splits at spaces and quotes.
fn in_script(word: &str) -> String {
    match word.contains([' ', '\t', '#', '\'']) {
        true => format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")),
        false => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command as Process;

    use super::*;
    use crate::cluster::slurm::tests::slurm;
    use crate::runner::{After, Command};

    #[test]
    fn a_script_says_what_it_needs_and_runs_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        let slurm = slurm(folder.path(), Some("13"));
        let echo = |word: &str| Command { program: "/bin/echo".into(), flags: vec![word.into()], fence: None };
        let array = Array {
            key: 8,
            name: "metrics-2".into(),
            commands: vec![(0, echo("none")), (1, echo("one two")), (4, echo("it's"))],
            after: vec![After { array: 7, corresponding: true }, After { array: 3, corresponding: false }],
            request: vec!["--mem=50M".into(), "--comment=two words".into()],
        };
        assert_eq!(slurm.dependency(&array).unwrap().unwrap(), "--dependency=aftercorr:13", "array 3 has ended");
        let script = slurm.write_script(&array).unwrap();
        let text = fs::read_to_string(&script).unwrap();
        for line in ["--job-name=metrics-2", "--array=0-1,4", "--mem=50M", "\"--comment=two words\"", "--requeue"] {
            assert!(text.contains(&format!("\n#SBATCH {line}\n")), "{text}");
        }
        let run = |index: &str| {
            let output = Process::new("bash").arg(&script).env("SLURM_ARRAY_TASK_ID", index).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!([run("1"), run("4")], ["one two\n", "it's\n"]);
    }

    #[test]
    fn indices_are_written_as_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
    }
}
