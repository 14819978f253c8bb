//! How files hang together: circles between the files of a folder, and types that stretch over many.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;

/// Files of one folder, each of which leads to all the others.
pub type Circle = BTreeSet<String>;

/// Every circle within a folder. A module that only gives names on leads nowhere.
pub fn circles(sources: &[Source]) -> Vec<Circle> {
    let files: BTreeMap<&[String], &Source> = sources
        .iter()
        .filter(|source| !source.is_test)
        .map(|source| (source.module.as_slice(), source))
        .collect();
    let mut leads_to: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in files.values() {
        let reached = leads_to.entry(&source.name).or_default();
        for mention in source.mentions.iter().filter(|mention| !mention.gives_on) {
            if let Some(target) = defined_in(&files, &mention.path)
                && target.folder == source.folder
                && target.name != source.name
            {
                reached.insert(&target.name);
            }
        }
    }
    let reaches: BTreeMap<&str, BTreeSet<&str>> = leads_to
        .keys()
        .map(|name| (*name, everything_behind(&leads_to, name)))
        .collect();
    let mut circles: Vec<Circle> = Vec::new();
    for (name, behind) in &reaches {
        let circle: Circle = behind
            .iter()
            .filter(|other| reaches[*other].contains(name))
            .map(|other| (*other).to_owned())
            .collect();
        if circle.len() > 1 && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

fn everything_behind<'a>(
    leads_to: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    start: &str,
) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut ahead: Vec<&str> = leads_to[start].iter().copied().collect();
    while let Some(name) = ahead.pop() {
        if found.insert(name) {
            ahead.extend(&leads_to[name]);
        }
    }
    found
}

/// The file whose item a path names, through what modules give on.
fn defined_in<'a>(files: &BTreeMap<&[String], &'a Source>, path: &[String]) -> Option<&'a Source> {
    const STEPS_MAX: usize = 8;
    let mut path = path.to_vec();
    for _ in 0..STEPS_MAX {
        if path.first()? != "crate" {
            return None;
        }
        let names = &path[1..];
        let length = (1..=names.len())
            .rev()
            .find(|length| files.contains_key(&names[..*length]))?;
        let source = files[&names[..length]];
        let given_on = names.get(length).and_then(|name| source.given_on.get(name));
        let Some(given_on) = given_on else {
            return Some(source);
        };
        let mut further = given_on.clone();
        further.extend_from_slice(&names[length + 1..]);
        path = further;
    }
    None
}

/// Types whose own `impl` stands in more than `files_max` files, with their number.
pub fn spread(sources: &[Source], files_max: usize) -> BTreeMap<String, usize> {
    let mut files: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.is_test) {
        for path in &source.implemented {
            let folder = path.get(1).map_or("", String::as_str);
            let name = path.last().map_or("", String::as_str);
            let entry = files.entry(format!("{folder}::{name}")).or_default();
            entry.insert(&source.name);
        }
    }
    files
        .into_iter()
        .map(|(name, files)| (name, files.len()))
        .filter(|(_, count)| *count > files_max)
        .collect()
}
