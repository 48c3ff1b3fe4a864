//! Allowed dependencies between crates: `stages, driver → model, cli → declarations → schemas → atomic_file`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use declarations::StageName;

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    // Only this platform's crates: they are available, since these tests were built with them.
    let version = Command::new("rustc").arg("-vV").output().expect("rustc built these tests");
    let version = String::from_utf8(version.stdout).expect("rustc speaks UTF-8");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc says what it is for");
    let options = ["--offline", "--locked", "--filter-platform", host].map(str::to_owned);
    MetadataCommand::new().manifest_path(manifest).other_options(options).exec().expect("cargo knows the workspace")
}

/// The direct dependencies of each member of the workspace, without those of its tests.
fn direct(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let names = |package: &cargo_metadata::Package| {
        let built = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
        built.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.workspace_packages().into_iter().map(|package| (package.name.to_string(), names(package))).collect()
}

/// Everything that is built into a package.
fn built_into(metadata: &Metadata, package: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("the graph was asked for");
    let start = metadata.workspace_packages().into_iter().find(|known| known.name.as_str() == package);
    let mut waiting = vec![start.unwrap_or_else(|| panic!("{package} is a member")).id.clone()];
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if seen.insert(id.clone()) {
            let node = resolve.nodes.iter().find(|node| node.id == id).expect("every package is in the graph");
            let normal = node
                .deps
                .iter()
                .filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
            waiting.extend(normal.map(|dependency| dependency.pkg.clone()));
        }
    }
    metadata
        .packages
        .iter()
        .filter(|package| seen.contains(&package.id))
        .map(|package| package.name.to_string())
        .collect()
}

#[test]
fn no_crate_depends_on_a_stage_or_on_the_driver() {
    for (package, dependencies) in direct(&metadata()) {
        let stages: Vec<_> = StageName::ALL.iter().filter(|stage| dependencies.contains(stage.word())).collect();
        assert!(stages.is_empty(), "{package} depends on {stages:?}");
        assert!(!dependencies.contains("driver"), "{package} depends on the driver");
    }
}

#[test]
fn the_tests_of_each_stage_and_nothing_else_check_its_conformance() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let conformance = package.dependencies.iter().filter(|dependency| dependency.name == "conformance");
        let kinds: Vec<_> = conformance.map(|dependency| dependency.kind).collect();
        let is_stage = StageName::ALL.iter().any(|stage| stage.word() == package.name.as_str());
        assert_eq!(kinds, vec![DependencyKind::Development; usize::from(is_stage)], "{}", package.name);
    }
}

#[test]
fn only_stages_that_run_the_model_build_burn() {
    let metadata = metadata();
    for package in [
        "prep",
        "metrics",
        "correlate",
        "plot",
        "driver",
        "schemas",
        "cli",
        "declarations",
        "conformance",
        "random_streams",
        "simd_dispatch",
        "attention_metrics",
        "allocator",
        "atomic_file",
        "term_weighting",
        "nanogpt_files",
        "export",
    ] {
        let built = built_into(&metadata, package);
        let burn: Vec<_> = built.iter().filter(|name| name.starts_with("burn") || *name == "model").collect();
        assert!(burn.is_empty(), "{package} builds {burn:?}");
    }
}

#[test]
fn only_the_model_depends_on_burn_and_only_schemas_on_parquet() {
    for (package, dependencies) in direct(&metadata()) {
        let names = |prefix: &str| dependencies.iter().any(|name| name.starts_with(prefix));
        assert!(package == "model" || !names("burn"), "{package} depends on burn");
        let tables = names("parquet") || names("arrow");
        assert!(package == "schemas" || !tables, "{package} depends on Parquet or Arrow");
        assert!(package == "query" || !names("polars"), "{package} depends on polars");
    }
}

#[test]
fn schemas_builds_neither_polars_nor_clap_and_the_lowest_crates_depend_on_no_other() {
    let metadata = metadata();
    let built = built_into(&metadata, "schemas");
    let heavy: Vec<_> = built.iter().filter(|name| name.starts_with("polars") || name.starts_with("clap")).collect();
    assert!(heavy.is_empty(), "schemas builds {heavy:?}");
    let direct = direct(&metadata);
    let members =
        |package: &str| -> Vec<&String> { direct[package].iter().filter(|name| direct.contains_key(*name)).collect() };
    for bottom in ["atomic_file", "random_streams", "simd_dispatch", "allocator", "term_weighting", "nanogpt_files"] {
        assert!(members(bottom).is_empty(), "{bottom} depends on {:?}", members(bottom));
    }
    assert_eq!(members("schemas"), ["atomic_file"]);
    assert_eq!(members("declarations"), ["schemas"], "declarations of stages depend only on those of tables");
    assert_eq!(members("cli"), ["declarations"]);
    assert_eq!(
        direct["attention_metrics"],
        BTreeSet::from(["simd_dispatch".to_owned()]),
        "formulas depend only on SIMD dispatch"
    );
}
