//! How large a terminal is.

/// The size of a terminal: characters, and pixels where known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
    /// Width in pixels, 0 when unknown.
    pub width: u16,
    /// Height in pixels, 0 when unknown.
    pub height: u16,
}

impl TerminalSize {
    /// What a terminal has until its client says otherwise.
    pub const DEFAULT: Self = Self {
        rows: 24,
        columns: 80,
        width: 0,
        height: 0,
    };

    /// Parses `rows,cols,x,y` of a resize packet; values beyond 16 bits are clamped.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?;
        let mut numbers = text.split(',').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u16>().unwrap_or(u16::MAX))
        });
        let mut next = || numbers.next().flatten();
        let size = Self {
            rows: next()?,
            columns: next()?,
            width: next()?,
            height: next()?,
        };
        if numbers.next().is_some() {
            None
        } else {
            Some(size)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_four_plain_numbers() {
        let size = |rows, columns, width, height| {
            Some(TerminalSize {
                rows,
                columns,
                width,
                height,
            })
        };
        assert_eq!(TerminalSize::parse(b"30,100,0,0"), size(30, 100, 0, 0));
        assert_eq!(TerminalSize::parse(b"70000,1,2,3"), size(u16::MAX, 1, 2, 3));
        for wrong in [
            "",
            "30,100",
            "30,100,0,0,0",
            "30, 100,0,0",
            "-1,1,1,1",
            "a,b,c,d",
            "1,,1,1",
        ] {
            assert_eq!(TerminalSize::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
