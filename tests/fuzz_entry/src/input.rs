//! How the fuzzer's bytes are divided: those that come over the wire, and those that say how.

/// The first byte says how many of the next ones control the world; the rest is the wire.
pub fn split(bytes: &[u8]) -> (Control<'_>, &[u8]) {
    let Some((&len, rest)) = bytes.split_first() else {
        return (Control(&[]), &[]);
    };
    let (control, wire) = rest.split_at(usize::from(len).min(rest.len()));
    (Control(control), wire)
}

/// Decisions, one after the other.
pub struct Control<'a>(pub &'a [u8]);

impl<'a> Control<'a> {
    /// The next byte, if there is one.
    pub fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The next byte, or 0.
    pub fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// The next two bytes.
    pub fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// The next four bytes.
    pub fn number(&mut self) -> u32 {
        u32::from(self.word()) << 16 | u32::from(self.word())
    }

    /// One of these.
    pub fn pick<'b, T>(&mut self, list: &'b [T]) -> &'b T {
        &list[usize::from(self.byte()) % list.len()]
    }

    /// Up to `len` bytes.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// The size of the next piece of something: mostly small, sometimes large; never 0.
    pub fn piece(&mut self) -> usize {
        match self.next() {
            None => usize::MAX,
            Some(small @ 1..200) => usize::from(small),
            Some(large) => 1 << (large & 31).min(20),
        }
    }
}

/// Cuts `wire` into pieces as the control bytes say; the last piece is what is left.
pub fn pieces<'a>(control: &mut Control<'_>, mut wire: &'a [u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while !wire.is_empty() {
        let (piece, rest) = wire.split_at(control.piece().min(wire.len()));
        pieces.push(piece);
        wire = rest;
    }
    pieces
}

/// The wire in three ways: whole, byte by byte, and in the pieces that control asks for.
pub fn cuts<'a>(control: &mut Control<'_>, wire: &'a [u8]) -> [Vec<&'a [u8]>; 3] {
    [vec![wire], wire.chunks(1).collect(), pieces(control, wire)]
}
