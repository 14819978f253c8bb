//! Rows with their budgets, as a Markdown table, and whether all of them hold.

/// What counts as good.
#[derive(Clone, Copy)]
pub enum Budget {
    /// Not more than the bar, better not more than the second one.
    AtMost(f64, f64),
    /// Not less than the bar, better not less than the second one.
    AtLeast(f64, f64),
    /// Shown for comparison.
    None,
}

impl Budget {
    fn verdict(self, value: f64) -> &'static str {
        match self {
            Self::None => "",
            Self::AtMost(_, reach) if value <= reach => "reached",
            Self::AtLeast(_, reach) if value >= reach => "reached",
            Self::AtMost(bar, _) if value <= bar => "held",
            Self::AtLeast(bar, _) if value >= bar => "held",
            _ => "MISSED",
        }
    }

    fn bars(self) -> [String; 2] {
        match self {
            Self::None => [String::new(), String::new()],
            Self::AtMost(bar, reach) => [format!("<= {}", short(bar)), short(reach)],
            Self::AtLeast(bar, reach) => [format!(">= {}", short(bar)), short(reach)],
        }
    }
}

/// One figure.
struct Row {
    name: String,
    value: f64,
    reference: String,
    budget: Budget,
}

/// All figures of a run.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a figure, with what it is to be compared with.
    pub fn add(&mut self, name: &str, value: f64, reference: String, budget: Budget) {
        eprintln!("  {name}: {} {}", short(value), budget.verdict(value));
        self.rows.push(Row {
            name: name.to_owned(),
            value,
            reference,
            budget,
        });
    }

    /// Prints the table.
    pub fn print(&self) {
        println!("| figure | measured | beside it, same run | bar | reach for | |");
        println!("| --- | --- | --- | --- | --- | --- |");
        for row in &self.rows {
            let Row {
                name,
                value,
                reference,
                budget,
            } = row;
            let [bar, reach] = budget.bars();
            let verdict = budget.verdict(*value);
            println!(
                "| {name} | {} | {reference} | {bar} | {reach} | {verdict} |",
                short(*value)
            );
        }
    }

    /// Names of figures that miss their bar.
    pub fn missed(&self) -> Vec<&str> {
        let rows = self.rows.iter();
        rows.filter(|row| row.budget.verdict(row.value) == "MISSED")
            .map(|row| row.name.as_str())
            .collect()
    }
}

/// Three digits are all that a measurement here is worth.
pub fn short(value: f64) -> String {
    let text = match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    match text.strip_suffix(".00").or(text.strip_suffix(".0")) {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}
