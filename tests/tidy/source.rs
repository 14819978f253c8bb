//! The product's sources as the checks see them: what each file mentions, defines and implements.
//!
//! Paths are followed as the compiler would: through groups, renames, `super` and re-exports. What
//! only a type checker sees (a method called on a value of another file's type) stays unseen.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// One file of `src`.
pub struct Source {
    /// `h2/receive.rs`.
    pub name: String,
    /// `h2`, or the file's own name at the top.
    pub folder: String,
    pub text: String,
    /// Made only of tests.
    pub is_test: bool,
    /// `["h2", "receive"]`.
    pub module: Vec<String>,
    /// Every path outside of tests.
    pub mentions: Vec<Mention>,
    /// Names that `pub use` gives on to others, and what they stand for.
    pub given_on: BTreeMap<String, Vec<String>>,
    pub functions: Vec<Function>,
    /// Types with an `impl` of their own here (`impl Trait for` not counted).
    pub implemented: Vec<Vec<String>>,
}

/// A path, renames followed: it starts with `crate`, `std` or the name of a crate.
pub struct Mention {
    pub path: Vec<String>,
    pub line: usize,
    /// Stands in a `pub use`.
    pub gives_on: bool,
}

pub struct Function {
    pub name: String,
    /// From the first word to the last brace; attributes and documentation not counted.
    pub lines: usize,
}

/// All of `src`, read once.
pub static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                sources.push(Source::read(name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(sources.len() > 50, "the sources were not found");
    sources.sort_by(|one, other| one.name.cmp(&other.name));
    sources
});

impl Source {
    pub fn read(name: &str, text: String) -> Self {
        let mut module: Vec<String> = name
            .trim_end_matches(".rs")
            .split('/')
            .map(str::to_owned)
            .collect();
        if ["mod", "lib", "main"].contains(&module[module.len() - 1].as_str()) {
            module.pop();
        }
        let folder = name.trim_end_matches(".rs").split('/').next().unwrap();
        let is_test = name
            .split('/')
            .any(|part| part.trim_end_matches(".rs").ends_with("tests"))
            || name.ends_with("/testing.rs");
        let tree = syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut reader = Reader::new(&module, &tree);
        if !is_test {
            reader.visit_file(&tree);
        }
        Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            is_test,
            module,
            mentions: reader.mentions,
            given_on: reader.given_on,
            functions: reader.functions,
            implemented: reader.implemented,
            text,
        }
    }

    /// Lines before the unit tests.
    pub fn code(&self) -> impl Iterator<Item = &str> {
        let end = if self.is_test { 0 } else { usize::MAX };
        let is_code = |line: &&str| !line.starts_with("#[cfg(test)]\nmod tests {");
        self.text
            .split_inclusive("\nmod tests {")
            .next()
            .unwrap_or("")
            .lines()
            .filter(is_code)
            .take(end)
    }
}

struct Reader {
    module: Vec<String>,
    /// What the file's own `use` and `mod` items name.
    names: BTreeMap<String, Vec<String>>,
    mentions: Vec<Mention>,
    given_on: BTreeMap<String, Vec<String>>,
    functions: Vec<Function>,
    implemented: Vec<Vec<String>>,
}

impl Reader {
    fn new(module: &[String], tree: &syn::File) -> Self {
        let mut reader = Self {
            module: module.to_vec(),
            names: BTreeMap::new(),
            mentions: Vec::new(),
            given_on: BTreeMap::new(),
            functions: Vec::new(),
            implemented: Vec::new(),
        };
        for item in &tree.items {
            if let syn::Item::Mod(item) = item {
                let name = item.ident.to_string();
                reader.names.insert(name.clone(), reader.inside(&[name]));
            }
        }
        reader
    }

    /// `crate`, this module, and then these.
    fn inside(&self, names: &[String]) -> Vec<String> {
        let mut path = vec!["crate".to_owned()];
        path.extend(self.module.iter().chain(names).cloned());
        path
    }

    /// The path from the root; nothing where it starts at a local name.
    fn resolve(&self, path: &[String]) -> Option<Vec<String>> {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let first = path.first()?;
        Some(match first.as_str() {
            "crate" => path.to_vec(),
            "self" => self.inside(&path[1..]),
            "super" => {
                let mut resolved = self.inside(&[]);
                resolved.truncate(resolved.len().saturating_sub(supers).max(1));
                resolved.extend_from_slice(&path[supers..]);
                resolved
            }
            _ => {
                let mut resolved = self.names.get(first)?.clone();
                resolved.extend_from_slice(&path[1..]);
                resolved
            }
        })
    }

    fn mention(&mut self, path: Vec<String>, line: usize) {
        let is_plain_name = path.len() == 1 && !self.names.contains_key(&path[0]);
        if is_plain_name {
            return;
        }
        let path = self.resolve(&path).unwrap_or(path);
        self.mentions.push(Mention {
            path,
            line,
            gives_on: false,
        });
    }

    fn take_use(&mut self, before: &[String], tree: &syn::UseTree, is_public: bool) {
        let mut path = before.to_vec();
        let (mut path, name) = match tree {
            syn::UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                return self.take_use(&path, &tree.tree, is_public);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.take_use(before, tree, is_public);
                }
                return;
            }
            syn::UseTree::Name(tree) => {
                path.push(tree.ident.to_string());
                let name = if tree.ident == "self" {
                    before.last()
                } else {
                    path.last()
                };
                let name = name.cloned();
                (path, name)
            }
            syn::UseTree::Rename(tree) => {
                path.push(tree.ident.to_string());
                (path, Some(tree.rename.to_string()))
            }
            syn::UseTree::Glob(_) => (path, None),
        };
        if path.len() > 1 && path.last().is_some_and(|part| part == "self") {
            path.pop();
        }
        let resolved = self.resolve(&path).unwrap_or(path);
        if let Some(name) = name {
            if is_public {
                self.given_on.insert(name.clone(), resolved.clone());
            }
            self.names.insert(name, resolved.clone());
        }
        self.mentions.push(Mention {
            path: resolved,
            line: tree.span().start().line,
            gives_on: is_public,
        });
    }

    /// Paths in a macro's arguments, which are tokens only.
    fn take_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.take_path(&mut path, line);
                    }
                    line = ident.span().start().line;
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.take_path(&mut path, line);
                    self.take_tokens(group.stream());
                }
                _ => self.take_path(&mut path, line),
            }
        }
        self.take_path(&mut path, line);
    }

    fn take_path(&mut self, path: &mut Vec<String>, line: usize) {
        let path = std::mem::take(path);
        if !path.is_empty() {
            self.mention(path, line);
        }
    }

    fn take_function(&mut self, name: &syn::Ident, first: usize, last: usize) {
        self.functions.push(Function {
            name: name.to_string(),
            lines: last - first + 1,
        });
    }
}

fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => {
            list.path.is_ident("cfg") && list.tokens.to_string().trim() == "test"
        }
        syn::Meta::Path(path) => path.is_ident("test"),
        _ => false,
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_file(&mut self, file: &'ast syn::File) {
        // Names first: an item may be used above the `use` that brings it in.
        for item in &file.items {
            if let syn::Item::Use(item) = item
                && !is_test_only(&item.attrs)
            {
                let is_public = !matches!(item.vis, syn::Visibility::Inherited);
                self.take_use(&[], &item.tree, is_public);
            }
        }
        for item in &file.items {
            if !matches!(item, syn::Item::Use(_)) {
                self.visit_item(item);
            }
        }
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test_only(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    /// Within a function.
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.take_use(&[], &item.tree, false);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        let line = item.ident.span().start().line;
        let crate_name = vec!["extern crate".to_owned(), item.ident.to_string()];
        self.mention(crate_name, line);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|part| part.ident.to_string());
        self.mention(names.collect(), path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.take_tokens(call.tokens.clone());
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        let first = function.sig.span().start().line;
        self.take_function(&function.sig.ident, first, function.block.span().end().line);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if is_test_only(&function.attrs) {
            return;
        }
        let first = function.sig.span().start().line;
        self.take_function(&function.sig.ident, first, function.block.span().end().line);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.trait_.is_none()
            && let syn::Type::Path(of) = item.self_ty.as_ref()
        {
            let names: Vec<String> = of
                .path
                .segments
                .iter()
                .map(|part| part.ident.to_string())
                .collect();
            let path = self.resolve(&names).unwrap_or_else(|| self.inside(&names));
            self.implemented.push(path);
        }
        visit::visit_item_impl(self, item);
    }

    // Not code: what is allowed, and who may see an item.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}
