//! No cycle of imports between modules, in any crate of the product.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module's path, from the crate's root.
type Module = Vec<String>;

/// The files of a crate, by their modules.
fn files(folder: &Path, module: &[String], found: &mut BTreeMap<Module, PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let child = [module, std::slice::from_ref(&stem)].concat();
        if path.is_dir() {
            files(&path, &child, found);
        } else if ["lib", "main", "mod"].contains(&stem.as_str()) {
            found.insert(module.to_vec(), path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(child, path);
        }
    }
}

/// The code of a file without comments and tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths after each `crate::`, with braces expanded.
fn paths(code: &str) -> Vec<Module> {
    let names = |path: &str| {
        path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect::<Module>()
    };
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let end = rest.find(|c| !is_path(c)).unwrap_or(rest.len());
        let (stem, after) = rest.split_at(end);
        match after.strip_prefix('{').and_then(|list| list.split_once('}')) {
            Some((list, _)) if stem.is_empty() || stem.ends_with("::") => {
                let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
                found.extend(items.map(|item| [names(stem), names(item)].concat()));
            }
            _ => found.push(names(stem)),
        }
    }
    found
}

/// The modules that each module imports from.
fn imports(crate_folder: &Path) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut modules = BTreeMap::new();
    files(crate_folder, &[], &mut modules);
    let module_of = |path: &Module| {
        let prefixes = (1..=path.len()).rev().map(|length| path[..length].to_vec());
        prefixes.into_iter().find(|prefix| modules.contains_key(prefix))
    };
    let imported = |(module, file): (&Module, &PathBuf)| {
        let targets = paths(&code(file)).iter().filter_map(module_of).collect::<BTreeSet<_>>();
        (module.clone(), targets.into_iter().filter(|target| target != module).collect())
    };
    modules
        .iter()
        .filter(|(module, _)| !module.iter().any(|name| name.ends_with("tests")))
        .map(imported)
        .collect()
}

/// A path of imports from a module back to itself.
fn cycle(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<String>> {
    let mut left = imports.clone();
    // A module without imports from the remaining ones is on no cycle.
    while let Some(leaf) = left
        .iter()
        .find(|(_, targets)| !targets.iter().any(|target| left.contains_key(target)))
        .map(|(module, _)| module.clone())
    {
        left.remove(&leaf);
    }
    let first = left.keys().next()?;
    let mut path = vec![first.clone()];
    loop {
        let last = path.last().expect("it has a first");
        let next = left[last]
            .iter()
            .find(|target| left.contains_key(*target))
            .expect("a module that is left imports another");
        if let Some(begin) = path.iter().position(|module| module == next) {
            return Some(path[begin..].iter().map(|module| module.join("::")).collect());
        }
        path.push(next.clone());
    }
}

#[test]
fn no_module_imports_itself_through_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for member in ["protocol", "supervisor", "worker"] {
        let imports = imports(&root.join(member).join("src"));
        let edges: usize = imports.values().map(BTreeSet::len).sum();
        assert!(edges > 5, "{member}: no imports were found");
        assert_eq!(cycle(&imports), None, "{member}");
    }
}

#[test]
fn a_cycle_is_found_through_braces_and_single_paths() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("writes");
    write("lib.rs", "mod a;\nmod b;\nmod c;\n");
    write("a.rs", "use crate::{b::B, d};\n");
    write("b.rs", "fn f() -> crate::c::C {}\n");
    write("c.rs", "// use crate::a;\n");
    assert_eq!(cycle(&imports(folder.path())), None);
    write("c.rs", "use crate::a::{A, AA};\n");
    assert_eq!(cycle(&imports(folder.path())), Some(vec!["a".into(), "b".into(), "c".into()]));
}
