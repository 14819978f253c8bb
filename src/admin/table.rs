//! The agents table, byte for byte as upstream's tabwriter sets it.
//!
//! Columns are as wide as their widest cell plus `PADDING`, at least `WIDTH_MIN`; the last
//! cell of a row is padded too. Cells come from foreign machines, so that what could drive the
//! reader's terminal is left out.

use crate::base::plain::plain;

const WIDTH_MIN: usize = 6;
const PADDING: usize = 3;

/// Sets `rows` in columns, one line per row.
pub fn render<const N: usize>(rows: &[[&str; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.map(plain)).collect();
    let mut widths = [WIDTH_MIN; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count() + PADDING);
        }
    }
    let mut out = String::new();
    for row in &rows {
        for (width, cell) in widths.iter().zip(row) {
            out.push_str(cell);
            let filled = cell.chars().count();
            out.extend(std::iter::repeat_n(' ', width.saturating_sub(filled)));
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_alone_is_set_like_upstream() {
        let header = [[
            "UID", "NAME", "MODE", "VERSION", "HOSTNAME", "PLATFORM", "STATUS",
        ]];
        assert_eq!(
            render(&header),
            "UID   NAME   MODE   VERSION   HOSTNAME   PLATFORM   STATUS   \n"
        );
    }

    #[test]
    fn columns_follow_their_widest_cell() {
        let rows = [["A", "B"], ["long cell", "é"]];
        assert_eq!(render(&rows), "A           B     \nlong cell   é     \n");
    }

    #[test]
    fn escapes_do_not_reach_the_terminal() {
        assert_eq!(render(&[["a\x1b[31m\n"]]), "a[31m    \n");
    }
}
