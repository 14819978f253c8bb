//! Where encoders put their bytes, so that one description of an encoding serves to measure it,
//! to append it and to write it into room that was set aside for it; and where machines put what goes
//! to a client in packets.

/// Takes encoded bytes in order.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Takes what goes to a client.
pub trait Packets {
    /// `payload` becomes a packet of its own.
    fn packet(&mut self, payload: &[u8]);
}

impl Packets for Vec<Vec<u8>> {
    fn packet(&mut self, payload: &[u8]) {
        self.push(payload.to_vec());
    }
}

/// Keeps only the number of bytes.
#[derive(Default)]
pub struct Count(usize);

impl Count {
    /// Bytes put so far.
    pub fn bytes(&self) -> usize {
        self.0
    }
}

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Fills a slice from its start. The owner has measured it with [`Count`].
pub struct Room<'a>(&'a mut [u8]);

impl<'a> Room<'a> {
    /// All of `room` is to be filled.
    pub fn new(room: &'a mut [u8]) -> Self {
        Self(room)
    }

    /// Bytes still to be filled.
    pub fn left(&self) -> usize {
        self.0.len()
    }
}

impl Sink for Room<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let room = std::mem::take(&mut self.0);
        debug_assert!(bytes.len() <= room.len(), "the room was measured too small");
        if let Some((filled, left)) = room.split_at_mut_checked(bytes.len()) {
            filled.copy_from_slice(bytes);
            self.0 = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sinks_agree() {
        let (mut vec, mut count, mut array) = (Vec::new(), Count::default(), [0; 3]);
        let mut room = Room::new(&mut array);
        for piece in [b"a".as_slice(), b"", b"bc"] {
            for sink in [&mut vec as &mut dyn Sink, &mut count, &mut room] {
                sink.put(piece);
            }
        }
        assert_eq!((room.left(), count.bytes()), (0, 3));
        assert_eq!((vec.as_slice(), &array), (b"abc".as_slice(), b"abc"));
    }
}
