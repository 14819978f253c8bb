//! A table whose keys say whether they are stale.
//!
//! A slot is used again after its value was removed, but under another generation, so a key that
//! outlived its value finds nothing instead of a stranger.

/// Names one value of a [`Slab`]; never equal to the key of an earlier tenant of the slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The slot, for tables that run in parallel.
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// The key as one number; [`Key::from_bits`] reverses it.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// Reverses [`Key::to_bits`].
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the halves are taken apart on purpose"
    )]
    pub fn from_bits(bits: u64) -> Self {
        Self {
            index: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// A bounded table of `T` with stable, never ambiguous keys. Slots are kept for reuse: box a `T`
/// that is large.
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    count_max: usize,
}

impl<T> Slab<T> {
    /// Holds at most `count_max` values (and never more than `u32::MAX`).
    pub fn new(count_max: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            count_max: count_max.min(u32::MAX as usize),
        }
    }

    /// Values that it may hold.
    pub fn count_max(&self) -> usize {
        self.count_max
    }

    /// Values held.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// No value is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No further value fits.
    pub fn is_full(&self) -> bool {
        self.len() >= self.count_max
    }

    /// Stores `value`; gives it back when the table is full.
    pub fn insert(&mut self, value: T) -> Result<Key, T> {
        if self.is_full() {
            return Err(value);
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(Slot {
                    generation: 0,
                    value: None,
                });
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let slot = &mut self.slots[index as usize];
        slot.value = Some(value);
        Ok(Key {
            index,
            generation: slot.generation,
        })
    }

    /// The value of `key`, if it is still there.
    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index())?;
        if slot.generation == key.generation {
            slot.value.as_ref()
        } else {
            None
        }
    }

    /// The value of `key`, to be changed.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index())?;
        if slot.generation == key.generation {
            slot.value.as_mut()
        } else {
            None
        }
    }

    /// Takes the value of `key` out; the key is stale from now on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index())?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    /// All keys in slot order.
    pub fn keys(&self) -> Vec<Key> {
        self.iter().map(|(key, _)| key).collect()
    }

    /// All values in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let index = u32::try_from(index).ok()?;
            slot.value.as_ref().map(|value| {
                (
                    Key {
                        index,
                        generation: slot.generation,
                    },
                    value,
                )
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing_even_when_its_slot_is_taken_again() {
        let mut slab = Slab::new(4);
        let old = slab.insert('a').unwrap();
        assert_eq!(slab.remove(old), Some('a'));
        let new = slab.insert('b').unwrap();
        assert_eq!(new.index(), old.index());
        assert_eq!((slab.get(old), slab.get(new)), (None, Some(&'b')));
        assert_eq!(slab.remove(old), None);
    }

    #[test]
    fn a_full_table_gives_the_value_back() {
        let mut slab = Slab::new(1);
        slab.insert(1).unwrap();
        assert_eq!(slab.insert(2), Err(2));
        assert!(slab.is_full() && slab.len() == 1);
    }

    #[test]
    fn keys_survive_the_trip_through_a_number() {
        let mut slab = Slab::new(3);
        let first = slab.insert(()).unwrap();
        slab.remove(first);
        let key = slab.insert(()).unwrap();
        assert_eq!(Key::from_bits(key.to_bits()), key);
        assert_ne!(key.to_bits(), first.to_bits());
    }
}
