//! Gob's primitives out of the current message.

use super::{Error, NODE_COUNT_MAX};

/// The input as messages. All reads stay within the message that was opened last.
pub(super) struct Reader<'a> {
    message: &'a [u8],
    rest: &'a [u8],
    nodes_left: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self {
            message: &[],
            rest: input,
            nodes_left: NODE_COUNT_MAX,
        }
    }

    /// One more thing is going to be remembered of this input.
    pub(super) fn spend_node(&mut self) -> Result<(), Error> {
        self.nodes_left = self.nodes_left.checked_sub(1).ok_or(Error::TooMany)?;
        Ok(())
    }

    /// The current message has been read to its end.
    pub(super) fn message_is_spent(&self) -> bool {
        self.message.is_empty()
    }

    /// Leaves what remains of the current message and goes on to the next.
    pub(super) fn open_message(&mut self) -> Result<(), Error> {
        let (len, rest) = split_uint(self.rest)?;
        (self.message, self.rest) = split_at(rest, len)?;
        Ok(())
    }

    pub(super) fn uint(&mut self) -> Result<u64, Error> {
        let (value, message) = split_uint(self.message)?;
        self.message = message;
        Ok(value)
    }

    pub(super) fn int(&mut self) -> Result<i64, Error> {
        let bits = self.uint()?;
        let half = (bits >> 1).cast_signed();
        Ok(if bits & 1 == 1 { !half } else { half })
    }

    /// A float is its bits with the bytes reversed, so that the zeros of short ones vanish.
    pub(super) fn float(&mut self) -> Result<f64, Error> {
        Ok(f64::from_bits(self.uint()?.swap_bytes()))
    }

    /// A length and that many bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let len = self.uint()?;
        let (bytes, message) = split_at(self.message, len)?;
        self.message = message;
        Ok(bytes)
    }

    /// A number of elements. Each takes at least one byte of the input, so a larger count is a
    /// lie; it is only a bound for a loop, never for an allocation.
    pub(super) fn count(&mut self) -> Result<usize, Error> {
        let count = usize::try_from(self.uint()?).map_err(|_| Error::Truncated)?;
        if count > self.message.len() + self.rest.len() {
            return Err(Error::Truncated);
        }
        Ok(count)
    }
}

fn split_at(bytes: &[u8], len: u64) -> Result<(&[u8], &[u8]), Error> {
    let len = usize::try_from(len).map_err(|_| Error::Truncated)?;
    bytes.split_at_checked(len).ok_or(Error::Truncated)
}

/// One byte up to 127, or the negated number of big-endian bytes that follow.
fn split_uint(bytes: &[u8]) -> Result<(u64, &[u8]), Error> {
    let (&first, rest) = bytes.split_first().ok_or(Error::Truncated)?;
    if first < 0x80 {
        return Ok((u64::from(first), rest));
    }
    let width = u64::from(first.wrapping_neg());
    if width > 8 {
        return Err(Error::Number);
    }
    let (digits, rest) = split_at(rest, width)?;
    let value = digits
        .iter()
        .fold(0, |value, &digit| value << 8 | u64::from(digit));
    Ok((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(content: &[u8]) -> Vec<u8> {
        let mut input = vec![u8::try_from(content.len()).unwrap()];
        input.extend(content);
        input
    }

    #[test]
    fn integers_are_read_as_the_reference_shows_them() {
        let input = open(&[0x7f, 0xff, 0x81, 0xff, 0x82, 0xf8, 1, 0, 0, 0, 0, 0, 0, 2]);
        let mut reader = Reader::new(&input);
        reader.open_message().unwrap();
        assert_eq!(reader.int(), Ok(-64));
        assert_eq!((reader.int(), reader.int()), (Ok(-65), Ok(65)));
        assert_eq!(reader.uint(), Ok(0x0100_0000_0000_0002));
        assert_eq!(reader.uint(), Err(Error::Truncated));
    }

    #[test]
    fn a_float_is_byte_reversed() {
        let input = open(&[0xfe, 0xf0, 0x3f]);
        let mut reader = Reader::new(&input);
        reader.open_message().unwrap();
        assert_eq!(reader.float(), Ok(1.0));
        assert!(reader.message_is_spent());
    }

    #[test]
    fn numbers_over_eight_bytes_and_lengths_over_the_message_are_refused() {
        let input = open(&[0xf7, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        let mut reader = Reader::new(&input);
        reader.open_message().unwrap();
        assert_eq!(reader.uint(), Err(Error::Number));
        let mut reader = Reader::new(&[2, 2, 0, 0]);
        reader.open_message().unwrap();
        assert_eq!(reader.bytes(), Err(Error::Truncated));
    }
}
