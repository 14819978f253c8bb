//! `memcpy` of the static x86_64 binary, in place of musl's.
//!
//! Every relayed byte is copied a few times between socket and cipher, mostly from and to odd
//! addresses. musl's routine is one string instruction, which takes two to three times as long
//! there as vector loads and stores do.
//!
//! The last bytes are loaded before the first store, and every block is loaded whole before it is
//! stored: musl's `memmove` comes here (by the second name) when an overlap allows to go forward.
//! It is an object of musl's own that defines both names, so a name that is missing here is an
//! error of the linker, never a wrong copy.
#![cfg(all(
    target_arch = "x86_64",
    target_os = "linux",
    any(target_env = "musl", test)
))]

/// Defines the routine under two names.
macro_rules! define_copy {
    ($name:literal, $forward:literal) => {
        std::arch::global_asm!(
            ".section .text.memcpy,\"ax\",@progbits",
            ".balign 32",
            concat!(".globl ", $name),
            concat!(".type ", $name, ",@function"),
            concat!(".globl ", $forward),
            concat!(".hidden ", $forward),
            concat!(".type ", $forward, ",@function"),
            concat!($name, ":"),
            concat!($forward, ":"),
            "mov rax, rdi",
            "cmp rdx, 64",
            "jb 3f",
            // 64 bytes and more: blocks of 64, then the last 64 once more.
            "movups xmm4, [rsi + rdx - 64]",
            "movups xmm5, [rsi + rdx - 48]",
            "movups xmm6, [rsi + rdx - 32]",
            "movups xmm7, [rsi + rdx - 16]",
            "lea rcx, [rdi + rdx - 64]",
            "cmp rdi, rcx",
            "jae 2f",
            ".balign 16",
            "1:",
            "movups xmm0, [rsi]",
            "movups xmm1, [rsi + 16]",
            "movups xmm2, [rsi + 32]",
            "movups xmm3, [rsi + 48]",
            "movups [rdi], xmm0",
            "movups [rdi + 16], xmm1",
            "movups [rdi + 32], xmm2",
            "movups [rdi + 48], xmm3",
            "add rsi, 64",
            "add rdi, 64",
            "cmp rdi, rcx",
            "jb 1b",
            "2:",
            "movups [rcx], xmm4",
            "movups [rcx + 16], xmm5",
            "movups [rcx + 32], xmm6",
            "movups [rcx + 48], xmm7",
            "ret",
            // Fewer: two pieces that may overlap, of the largest size that fits.
            "3:",
            "cmp edx, 16",
            "jb 5f",
            "movups xmm0, [rsi]",
            "movups xmm1, [rsi + rdx - 16]",
            "cmp edx, 32",
            "jbe 4f",
            "movups xmm2, [rsi + 16]",
            "movups xmm3, [rsi + rdx - 32]",
            "movups [rdi + 16], xmm2",
            "movups [rdi + rdx - 32], xmm3",
            "4:",
            "movups [rdi], xmm0",
            "movups [rdi + rdx - 16], xmm1",
            "ret",
            "5:",
            "cmp edx, 8",
            "jb 6f",
            "mov rcx, [rsi]",
            "mov rsi, [rsi + rdx - 8]",
            "mov [rdi], rcx",
            "mov [rdi + rdx - 8], rsi",
            "ret",
            "6:",
            "cmp edx, 4",
            "jb 7f",
            "mov ecx, [rsi]",
            "mov esi, [rsi + rdx - 4]",
            "mov [rdi], ecx",
            "mov [rdi + rdx - 4], esi",
            "ret",
            "7:",
            "test edx, edx",
            "je 8f",
            // One to three bytes: the first, the middle one, the last.
            "mov r8d, edx",
            "shr r8d",
            "movzx ecx, byte ptr [rsi]",
            "movzx r9d, byte ptr [rsi + r8]",
            "movzx esi, byte ptr [rsi + rdx - 1]",
            "mov [rdi], cl",
            "mov [rdi + r8], r9b",
            "mov [rdi + rdx - 1], sil",
            "8:",
            "ret",
            concat!(".size ", $name, ", . - ", $name),
            ".text",
        );
    };
}

#[cfg(target_env = "musl")]
define_copy!("memcpy", "__memcpy_fwd");

#[cfg(all(test, not(target_env = "musl")))]
define_copy!("hoop_lite_copy", "hoop_lite_copy_forward");

#[cfg(all(test, not(target_env = "musl")))]
mod tests {
    use proptest::prelude::*;

    unsafe extern "C" {
        fn hoop_lite_copy(to: *mut u8, from: *const u8, size: usize) -> *mut u8;
    }

    const ROOM: usize = 1000;

    fn assert_copies(from: usize, to: usize, size: usize) {
        let before: Vec<u8> = (0..ROOM)
            .map(|at| (at * 7 + at / 256).to_le_bytes()[0])
            .collect();
        let mut expected = before.clone();
        expected.copy_within(from..from + size, to);
        let mut memory = before;
        let start = memory.as_mut_ptr();
        // SAFETY: both ranges lie within `memory`; where they overlap, `to` comes first.
        unsafe {
            let returned = hoop_lite_copy(start.add(to), start.add(from), size);
            assert_eq!(returned, start.add(to));
        }
        assert_eq!(memory, expected, "{size} bytes from {from} to {to}");
    }

    #[test]
    fn every_size_is_copied_and_nothing_else() {
        for size in 0..400 {
            assert_copies(500, 50, size);
            assert_copies(501, 67, size);
        }
    }

    proptest! {
        #[test]
        fn an_overlap_that_allows_to_go_forward_is_safe(
            to in 0usize..300,
            distance in 0usize..200,
            size in 0usize..500,
        ) {
            assert_copies(to + distance, to, size);
        }
    }
}
