//! The one place where SQL is composed: a template from a `.sql` file, whose slots (`--[name]` lines)
//! are filled with conditions made of static text and numbered parameters.
//!
//! User text can only become a parameter value: conditions are `&'static str`, and the type system
//! keeps it so. A template is valid SQL as it stands, because an unfilled slot is a comment.

use clickhouse::query::Query;

use super::{Ask, Window};

/// A parameter value.
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    /// `String`.
    Text(String),
    /// `Array(String)`.
    Texts(Vec<String>),
    /// `Int64`.
    I64(i64),
    /// `UInt64` and smaller.
    U64(u64),
    /// `Array(UInt64)`.
    U64s(Vec<u64>),
}

/// Conditions that all have to hold, as text with numbered parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    lines: Vec<String>,
    params: Vec<(String, Param)>,
    prefix: &'static str,
}

/// A statement being composed.
#[derive(Clone, Debug)]
pub struct Sql {
    text: String,
    params: Vec<(String, Param)>,
}

impl Conditions {
    /// None yet. Parameters are called `prefix` and a number; two sets in one statement need two
    /// prefixes.
    pub fn new(prefix: &'static str) -> Conditions {
        Conditions { lines: Vec::new(), params: Vec::new(), prefix }
    }

    /// Adds a condition. Each `@` in it stands for the next of `params`: `ServiceName = {@:String}`.
    /// `@1`, `@2`… name a parameter of this condition by its place, where one is used twice.
    pub fn and(&mut self, condition: &'static str, params: impl IntoIterator<Item = Param>) {
        let first = self.params.len();
        for param in params {
            let name = format!("{}{}", self.prefix, self.params.len());
            self.params.push((name, param));
        }
        let mut line = String::new();
        let mut next = first;
        let mut rest = condition;
        while let Some(at) = rest.find('@') {
            line.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let place = match rest.bytes().next() {
                Some(digit @ b'1'..=b'9') => {
                    rest = &rest[1..];
                    first + usize::from(digit - b'1')
                }
                _ => {
                    next += 1;
                    next - 1
                }
            };
            assert!(place < self.params.len(), "a condition must have a value for each of its places");
            line.push_str(&self.params[place].0);
        }
        line.push_str(rest);
        self.lines.push(line);
    }

    /// Adds the negation of what `build` adds.
    pub fn and_not(&mut self, build: impl FnOnce(&mut Conditions)) {
        let from = self.lines.len();
        build(self);
        let inner = self.lines.split_off(from);
        if !inner.is_empty() {
            self.lines.push(format!("NOT (({}))", inner.join(") AND (")));
        }
    }

    /// Adds: all that `one` adds holds, or all that `other` adds.
    pub fn and_either(&mut self, one: impl FnOnce(&mut Conditions), other: impl FnOnce(&mut Conditions)) {
        let from = self.lines.len();
        one(self);
        let first = self.lines.split_off(from);
        other(self);
        let second = self.lines.split_off(from);
        let joined = |lines: Vec<String>| format!("(({}))", lines.join(") AND ("));
        self.lines.push(format!("{} OR {}", joined(first), joined(second)));
    }

    /// Adds: one of the things that `build` adds holds.
    pub fn and_any(&mut self, build: impl FnOnce(&mut Conditions)) {
        let from = self.lines.len();
        build(self);
        let inner = self.lines.split_off(from);
        if !inner.is_empty() {
            self.lines.push(format!("({})", inner.join(") OR (")));
        }
    }

    /// Adds: what `build` adds holds for one of the rows of a group.
    pub fn and_counted(&mut self, build: impl FnOnce(&mut Conditions)) {
        let from = self.lines.len();
        build(self);
        let inner = self.lines.split_off(from);
        if !inner.is_empty() {
            self.lines.push(format!("countIf(({})) > 0", inner.join(") AND (")));
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl Sql {
    /// A statement from its template, for one tenant.
    pub fn new(template: &'static str, tenant: &str) -> Sql {
        let text = strip_comment(template).to_owned();
        Sql { text, params: vec![("tenant".into(), Param::Text(tenant.into()))] }
    }

    /// Gives a value to a parameter that the template names.
    pub fn set(mut self, name: &'static str, value: Param) -> Sql {
        self.params.push((name.into(), value));
        self
    }

    /// Sets `from` and `to`.
    pub fn window(self, window: Window) -> Sql {
        self.set("from", Param::I64(window.from_ns)).set("to", Param::I64(window.to_ns))
    }

    /// Puts conditions into every slot of this name, joined by `AND`.
    pub fn fill(mut self, slot: &'static str, conditions: &Conditions) -> Sql {
        let lines: Vec<String> = conditions.lines.iter().map(|line| format!("AND ({line})")).collect();
        self.put(slot, &lines);
        self.params.extend(conditions.params.iter().cloned());
        self
    }

    /// Repeats the block of this slot (`--[each slot]` to `--[end slot]`) for each of `ways`, joined by
    /// `UNION ALL`, with the slot filled. Each needs a prefix of its own.
    pub fn fill_each(mut self, slot: &'static str, ways: &[Conditions]) -> Sql {
        assert!(!ways.is_empty(), "the block must stand for something");
        let mut lines = self.text.split_inclusive('\n');
        let (begin, end) = (format!("--[each {slot}]"), format!("--[end {slot}]"));
        let mut until = |mark: &str| -> String { lines.by_ref().take_while(|line| line.trim() != mark).collect() };
        let (before, block) = (until(&begin), until(&end));
        let after: String = lines.collect();
        assert!(!block.is_empty(), "the template must have the block {slot}");
        let indent = &block[..block.len() - block.trim_start().len()];
        let mut text = before;
        for (at, way) in ways.iter().enumerate() {
            if at > 0 {
                text.push_str(indent);
                text.push_str("UNION ALL\n");
            }
            let filled = Sql { text: block.clone(), params: Vec::new() }.fill(slot, way);
            text.push_str(&filled.text);
            self.params.extend(filled.params);
        }
        text.push_str(&after);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        self.text = text;
        self
    }

    /// Puts fixed text into every slot of this name.
    pub fn put_text(mut self, slot: &'static str, text: &'static str) -> Sql {
        self.put(slot, &[text.to_owned()]);
        self
    }

    /// The statement and its parameters as text, for golden files.
    pub fn drawn(&self) -> String {
        let mut out = self.text.clone();
        out.push('\n');
        for (name, value) in &self.params {
            out.push_str(&format!("-- {name} = {value:?}\n"));
        }
        out
    }

    /// The statement ready to run.
    pub fn query(self, ask: &Ask<'_>) -> Query {
        let mut query = ask.client.query_raw(&self.text);
        for (name, value) in self.params {
            query = match value {
                Param::Text(value) => query.param(&name, value),
                Param::Texts(value) => query.param(&name, value),
                Param::I64(value) => query.param(&name, value),
                Param::U64(value) => query.param(&name, value),
                Param::U64s(value) => query.param(&name, value),
            };
        }
        query
    }

    fn put(&mut self, slot: &'static str, lines: &[String]) {
        let mark = format!("--[{slot}]");
        let mut out = String::with_capacity(self.text.len() + 64);
        let mut found = false;
        for line in self.text.lines() {
            match line.find(&mark) {
                Some(at) => {
                    found = true;
                    for filled in lines {
                        out.push_str(&line[..at]);
                        out.push_str(filled);
                        out.push('\n');
                    }
                }
                None => {
                    out.push_str(line);
                    out.push('\n');
                }
            }
        }
        assert!(found, "the template must have the slot {slot}");
        self.text = out;
    }
}

/// Templates open with comment lines for their readers; the store need not see them.
fn strip_comment(template: &'static str) -> &'static str {
    let mut rest = template;
    while rest.starts_with("-- ") {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest.trim_end()
}

/// Compares composed statements with `questions/golden/<name>.sql`; `UPDATE_GOLDEN=1` rewrites.
#[cfg(test)]
pub(crate) fn check_golden(name: &str, drawn: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("questions/golden").join(format!("{name}.sql"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, drawn).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(drawn, expected, "{} differs: review, then run with UPDATE_GOLDEN=1", path.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    // Scenario: conditions with one, several and repeated values, one of them negated.
    // Guarantee: places are numbered in order, values stay parameters, an unfilled slot stays a comment.
    #[test]
    fn conditions_are_numbered() {
        let mut conditions = Conditions::new("p");
        conditions.and("A = {@:String}", [Param::Text("it's".into())]);
        conditions.and(
            "B[{@1:String}] = {@2:String} OR C[{@1:String}] = {@2:String}",
            ["k", "v"].map(|t| Param::Text(t.into())),
        );
        conditions.and_not(|inner| inner.and("D > {@:Int64}", [Param::I64(7)]));
        conditions.and_either(
            |inner| inner.and("E", []),
            |inner| (8..10).for_each(|value| inner.and("F = {@:Int64}", [Param::I64(value)])),
        );
        conditions.and_any(|inner| (10..12).for_each(|value| inner.and("G = {@:Int64}", [Param::I64(value)])));
        let sql = Sql::new(
            "-- For readers.\nSELECT 1\nFROM t\nWHERE Tenant = {tenant:String}\n  --[more]\n  --[none]\n",
            "t1",
        )
        .fill("more", &conditions);
        let expected = r#"SELECT 1
FROM t
WHERE Tenant = {tenant:String}
  AND (A = {p0:String})
  AND (B[{p1:String}] = {p2:String} OR C[{p1:String}] = {p2:String})
  AND (NOT ((D > {p3:Int64})))
  AND (((E)) OR ((F = {p4:Int64}) AND (F = {p5:Int64})))
  AND ((G = {p6:Int64}) OR (G = {p7:Int64}))
  --[none]

-- tenant = Text("t1")
-- p0 = Text("it's")
-- p1 = Text("k")
-- p2 = Text("v")
-- p3 = I64(7)
-- p4 = I64(8)
-- p5 = I64(9)
-- p6 = I64(10)
-- p7 = I64(11)
"#;
        assert_eq!(sql.drawn(), expected);
    }

    // Scenario: every template of this folder.
    // Guarantee: the tenant is the first condition after the first WHERE, and no template holds a `?` or a quoted user value place.
    #[test]
    fn tenant_comes_first() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("questions");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "sql") {
                continue;
            }
            seen += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("-- "), "{} must say what it asks", path.display());
            if path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("bounds")) {
                continue; // asks the partitions' extremes, not rows
            }
            for (at, _) in text.match_indices("WHERE ") {
                assert!(
                    text[at..].starts_with("WHERE Tenant = {tenant:String}"),
                    "{}: {}",
                    path.display(),
                    &text[at..at + 40]
                );
            }
            assert_eq!(
                ["FROM otel_", "FROM loss_", "FROM graph_", "FROM evidence_", "FROM log_", "FROM records"]
                    .iter()
                    .map(|from| text.matches(from).count())
                    .sum::<usize>(),
                text.matches("WHERE ").count(),
                "{}",
                path.display()
            );
        }
        assert!(seen > 10);
    }
}
