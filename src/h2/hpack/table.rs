//! The tables that HPACK indices point into (RFC 7541 sections 2.3 and 4, appendix A).

use std::collections::VecDeque;

use crate::base::ByteBuf;

/// Accounted for each entry on top of its name and value (RFC 7541 section 4.1).
pub const ENTRY_OVERHEAD: usize = 32;

/// Lengths of one entry; its bytes lie in [`HeaderTable::bytes`].
#[derive(Clone, Copy)]
struct Entry {
    name_len: u16,
    value_len: u16,
}

impl Entry {
    fn len(self) -> usize {
        usize::from(self.name_len) + usize::from(self.value_len)
    }
}

/// The static table and one dynamic table behind it in the common index space.
///
/// Invariant: the accounted size is at most `size_max`, which is at most what the owner allowed.
pub struct HeaderTable {
    size_max: usize,
    /// Newest first.
    entries: VecDeque<Entry>,
    /// Names and values of all entries, oldest first.
    bytes: ByteBuf,
}

impl HeaderTable {
    /// An empty dynamic table for `size_max` accounted bytes.
    pub fn new(size_max: usize) -> Self {
        Self {
            size_max,
            entries: VecDeque::new(),
            bytes: ByteBuf::new(),
        }
    }

    /// Accounted size: names, values and the overhead of each entry.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.entries.len() * ENTRY_OVERHEAD
    }

    /// Changes the bound; the oldest entries go until it is kept.
    pub fn set_size_max(&mut self, size_max: usize) {
        self.size_max = size_max;
        self.evict(size_max);
    }

    /// Name and value at `index`, which counts from 1, the static table first.
    pub fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let index = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Some((name.as_bytes(), value.as_bytes()));
        }
        let index = index - STATIC.len();
        let entry = *self.entries.get(index)?;
        let behind: usize = self.entries.iter().take(index).map(|e| e.len()).sum();
        let end = self.bytes.len().checked_sub(behind)?;
        let start = end.checked_sub(entry.len())?;
        let bytes = self.bytes.filled().get(start..end)?;
        bytes.split_at_checked(usize::from(entry.name_len))
    }

    /// Adds an entry; one that is larger than the table empties it (RFC 7541 section 4.4).
    pub fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        let (Ok(name_len), Ok(value_len)) = (u16::try_from(name.len()), u16::try_from(value.len()))
        else {
            self.evict(0);
            return;
        };
        self.evict(self.size_max.saturating_sub(size));
        if size > self.size_max {
            return;
        }
        self.bytes.extend(name);
        self.bytes.extend(value);
        self.entries.push_front(Entry {
            name_len,
            value_len,
        });
        debug_assert!(self.size() <= self.size_max);
    }

    fn evict(&mut self, size: usize) {
        while self.size() > size {
            let Some(oldest) = self.entries.pop_back() else {
                return;
            };
            self.bytes.consume(oldest.len());
        }
    }
}

/// Appendix A of RFC 7541.
#[rustfmt::skip]
pub const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_entry_comes_first_and_the_oldest_is_evicted() {
        let mut table = HeaderTable::new(100);
        table.insert(b"a", b"1");
        table.insert(b"bb", b"22");
        assert_eq!(table.size(), 34 + 36);
        assert_eq!(table.get(62), Some((&b"bb"[..], &b"22"[..])));
        assert_eq!(table.get(63), Some((&b"a"[..], &b"1"[..])));
        table.insert(b"c", b"3");
        assert_eq!(table.size(), 36 + 34);
        assert_eq!(table.get(62), Some((&b"c"[..], &b"3"[..])));
        assert_eq!(table.get(63), Some((&b"bb"[..], &b"22"[..])));
        assert_eq!(table.get(64), None);
    }

    #[test]
    fn entry_larger_than_the_table_empties_it() {
        let mut table = HeaderTable::new(64);
        table.insert(b"a", b"1");
        table.insert(b"long", &[b'x'; 40]);
        assert_eq!((table.size(), table.get(62)), (0, None));
    }

    #[test]
    fn smaller_bound_evicts() {
        let mut table = HeaderTable::new(200);
        table.insert(b"a", b"1");
        table.insert(b"b", b"2");
        table.set_size_max(40);
        assert_eq!(table.get(62), Some((&b"b"[..], &b"2"[..])));
        assert_eq!(table.get(63), None);
        table.set_size_max(0);
        assert_eq!((table.size(), table.get(62)), (0, None));
    }

    #[test]
    fn index_zero_is_nothing() {
        assert_eq!(HeaderTable::new(64).get(0), None);
    }
}
