//! The page's script: the modules of `app/`, one after the other. Each is an ES module, which its tests import; on the page they
//! are one, so their lines `import …` and the words `export` are left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// A module is after those that it imports.
const MODULES: [&str; 19] = [
    include_str!("app/text.js"),
    include_str!("app/number.js"),
    include_str!("app/codec.js"),
    include_str!("app/state.js"),
    include_str!("app/colour.js"),
    include_str!("app/dom.js"),
    include_str!("app/export.js"),
    include_str!("app/model.js"),
    include_str!("app/chart.js"),
    include_str!("app/maps.js"),
    include_str!("app/story.js"),
    include_str!("app/attention.js"),
    include_str!("app/layers.js"),
    include_str!("app/heads.js"),
    include_str!("app/during.js"),
    include_str!("app/generating.js"),
    include_str!("app/texts.js"),
    include_str!("app/correlations.js"),
    include_str!("app/main.js"),
];

/// The script.
pub(super) fn script() -> String {
    let mut script = String::from("\"use strict\";\n");
    for line in MODULES.iter().flat_map(|module| module.lines()).filter(|line| !line.starts_with("import ")) {
        script.push_str(line.strip_prefix("export ").unwrap_or(line));
        script.push('\n');
    }
    script
}

/// What the page may do: run this script and no other, show pictures of its own, and request nothing.
pub(super) fn policy(script: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(script));
    format!(
        "default-src 'none'; script-src 'sha256-{hash}'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; \
         form-action 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_one_module_that_ends_no_element() {
        let script = script();
        assert!(!script.contains("</script") && !script.contains("<!--"));
        assert!(!script.lines().any(|line| line.starts_with("import ") || line.starts_with("export ")));
        // Together they share one scope: no name is declared twice.
        let words = ["function ", "async function ", "const ", "let ", "class "];
        let mut names: Vec<&str> = script
            .lines()
            .filter_map(|line| words.iter().find_map(|word| line.strip_prefix(word)))
            .filter_map(|rest| rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        let repeated: Vec<_> = names.windows(2).filter(|two| two[0] == two[1]).collect();
        assert!(repeated.is_empty() && names.len() > 50, "{repeated:?}");
    }

    #[test]
    fn imports_take_one_line_and_come_from_modules_before() {
        for (at, module) in MODULES.iter().enumerate() {
            for line in module.lines().filter(|line| line.starts_with("import ")) {
                assert!(line.ends_with(';'), "{line}");
                for name in line.split(['{', '}']).nth(1).into_iter().flat_map(|names| names.split(',')).map(str::trim)
                {
                    let declared = |module: &&str| {
                        ["function", "const", "class", "async function"]
                            .iter()
                            .any(|kind| module.contains(&format!("export {kind} {name}")))
                    };
                    assert!(MODULES[..at].iter().any(declared), "{name} is not exported before it is imported");
                }
            }
        }
    }
}
