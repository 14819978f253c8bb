//! Copying memory, for the static x86-64 program: what the C library there does slowly.
//!
//! musl copies with `rep movsq`, which processors do word by word, at a tenth of their speed, where
//! source and destination do not lie alike within a word. A TLS record's contents begin five bytes
//! into it, so that is the rule here: a quarter of all the work of a relay (docs/benchmarks.md).
//! These take 16 bytes at a time, whatever lies where, on every processor of the architecture.
//!
//! Promises what the C standard does of `memmove`, of which `memcpy` is one case.

use std::arch::naked_asm;

/// `memmove`: copies `size` bytes; the two ranges may overlap. Returns `to`.
///
/// Up to 64 bytes are all read before any is written. Else the far end (64 bytes) and the near one
/// (16) are read first and written last; between them whole lines go to an aligned destination, in
/// the direction in which nothing is overwritten that is yet to be read.
///
/// # Safety
/// `from` is readable and `to` writable for `size` bytes.
// SAFETY: no stack is touched, no register that the calling convention keeps is changed, the
// direction flag is not used; every access lies within `size` bytes of its pointer.
#[unsafe(naked)]
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 16",
        "jb 20f",
        "cmp rdx, 32",
        "ja 10f",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + rdx - 16]",
        "movups [rdi], xmm0",
        "movups [rdi + rdx - 16], xmm1",
        "ret",
        // 33 to 64 bytes.
        "10:",
        "cmp rdx, 64",
        "ja 30f",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + 16]",
        "movups xmm2, [rsi + rdx - 32]",
        "movups xmm3, [rsi + rdx - 16]",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm1",
        "movups [rdi + rdx - 32], xmm2",
        "movups [rdi + rdx - 16], xmm3",
        "ret",
        // Fewer than 16.
        "20:",
        "cmp edx, 8",
        "jb 21f",
        "mov rcx, [rsi]",
        "mov r8, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], r8",
        "ret",
        "21:",
        "cmp edx, 4",
        "jb 22f",
        "mov ecx, [rsi]",
        "mov r8d, [rsi + rdx - 4]",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], r8d",
        "ret",
        // Three at most: the first, the last and the middle one, which may be the same.
        "22:",
        "test edx, edx",
        "je 23f",
        "mov r10, rdx",
        "shr r10, 1",
        "movzx ecx, byte ptr [rsi]",
        "movzx r8d, byte ptr [rsi + r10]",
        "movzx r9d, byte ptr [rsi + rdx - 1]",
        "mov [rdi], cl",
        "mov [rdi + r10], r8b",
        "mov [rdi + rdx - 1], r9b",
        "23:",
        "ret",
        // More than 64: does the destination begin within the source?
        "30:",
        "mov rcx, rdi",
        "sub rcx, rsi",
        "cmp rcx, rdx",
        "jb {downwards}",
        "jmp {upwards}",
        upwards = sym upwards,
        downwards = sym downwards,
    )
}

/// The end of a [`memmove`] of more than 64 bytes to a place below its source, or apart from it.
///
/// # Safety
/// As of [`memmove`], whose result is in `rax` already.
// SAFETY: as there.
#[unsafe(naked)]
unsafe extern "C" fn upwards(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    naked_asm!(
        "movups xmm8, [rsi]",
        "movups xmm4, [rsi + rdx - 64]",
        "movups xmm5, [rsi + rdx - 48]",
        "movups xmm6, [rsi + rdx - 32]",
        "movups xmm7, [rsi + rdx - 16]",
        "lea r9, [rdi + rdx - 64]",
        "mov rcx, rdi",
        "and rcx, 15",
        "sub rcx, 16",
        "sub rdi, rcx",
        "sub rsi, rcx",
        "31:",
        "cmp rdi, r9",
        "jae 32f",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + 16]",
        "movups xmm2, [rsi + 32]",
        "movups xmm3, [rsi + 48]",
        "movaps [rdi], xmm0",
        "movaps [rdi + 16], xmm1",
        "movaps [rdi + 32], xmm2",
        "movaps [rdi + 48], xmm3",
        "add rdi, 64",
        "add rsi, 64",
        "jmp 31b",
        "32:",
        "movups [r9], xmm4",
        "movups [r9 + 16], xmm5",
        "movups [r9 + 32], xmm6",
        "movups [r9 + 48], xmm7",
        "movups [rax], xmm8",
        "ret",
    )
}

/// The end of a [`memmove`] of more than 64 bytes to a place that begins within its source.
///
/// # Safety
/// As of [`memmove`], whose result is in `rax` already.
// SAFETY: as there.
#[unsafe(naked)]
unsafe extern "C" fn downwards(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    naked_asm!(
        "movups xmm4, [rsi]",
        "movups xmm5, [rsi + 16]",
        "movups xmm6, [rsi + 32]",
        "movups xmm7, [rsi + 48]",
        "movups xmm8, [rsi + rdx - 16]",
        "lea r9, [rdi + 64]",
        "lea r10, [rdi + rdx - 16]",
        "lea rdi, [rdi + rdx]",
        "lea rsi, [rsi + rdx]",
        "mov rcx, rdi",
        "and rcx, 15",
        "sub rdi, rcx",
        "sub rsi, rcx",
        "41:",
        "cmp rdi, r9",
        "jbe 42f",
        "sub rdi, 64",
        "sub rsi, 64",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + 16]",
        "movups xmm2, [rsi + 32]",
        "movups xmm3, [rsi + 48]",
        "movaps [rdi], xmm0",
        "movaps [rdi + 16], xmm1",
        "movaps [rdi + 32], xmm2",
        "movaps [rdi + 48], xmm3",
        "jmp 41b",
        "42:",
        "movups [rax], xmm4",
        "movups [rax + 16], xmm5",
        "movups [rax + 32], xmm6",
        "movups [rax + 48], xmm7",
        "movups [r10], xmm8",
        "ret",
    )
}

/// `memcpy`: as [`memmove`], of which it asks less.
///
/// # Safety
/// As of [`memmove`].
// SAFETY: a jump to a function of the same arguments and result.
#[unsafe(naked)]
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    naked_asm!("jmp {memmove}", memmove = sym memmove)
}

#[cfg(test)]
mod tests {
    use super::{memcpy, memmove};
    use proptest::prelude::*;

    proptest! {
        /// The same as the standard library's copy, at every distance, and not a byte beside it.
        #[test]
        fn moves_as_the_standard_library_does(
            size in prop_oneof![0usize..80, 0usize..2_000],
            from in 0usize..200,
            to in 0usize..200,
        ) {
            let mut ours: Vec<u8> = (0..2_400u32).map(|i| (i * 7 % 251) as u8).collect();
            let mut theirs = ours.clone();
            theirs.copy_within(from..from + size, to);
            let start = ours.as_mut_ptr();
            // SAFETY: both ranges end within 2,200 of the 2,400 bytes.
            let result = unsafe { memmove(start.add(to), start.add(from), size) };
            prop_assert_eq!(result, start.wrapping_add(to));
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn copies_between_two_places(size in 0usize..300, from in 0usize..40, to in 0usize..40) {
            let source: Vec<u8> = (0..340u32).map(|i| (i * 13 % 251) as u8).collect();
            let mut ours = vec![0; 340];
            let mut theirs = ours.clone();
            theirs[to..to + size].copy_from_slice(&source[from..from + size]);
            // SAFETY: both ranges end within the 340 bytes of their vectors.
            unsafe { memcpy(ours.as_mut_ptr().add(to), source.as_ptr().add(from), size) };
            prop_assert_eq!(ours, theirs);
        }
    }
}
