//! The C library's resolver.

use std::ffi::{CStr, c_int};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// The name does not exist or has no address.
    NotFound,
    /// No answer for now: servers unreachable or failing.
    Temporary,
    /// The resolver itself failed.
    Failed,
}

/// Asks the system's resolver, waiting as long as it takes. Order as the system prefers.
pub fn lookup(host: &CStr) -> Result<Vec<IpAddr>, LookupError> {
    // SAFETY: hints are valid when zeroed; the list is read only while it is ours and freed once.
    unsafe {
        let mut hints: libc::addrinfo = std::mem::zeroed();
        hints.ai_family = libc::AF_UNSPEC;
        hints.ai_socktype = libc::SOCK_STREAM;
        let mut list = std::ptr::null_mut();
        let code = libc::getaddrinfo(
            host.as_ptr(),
            std::ptr::null(),
            &raw const hints,
            &raw mut list,
        );
        if code != 0 {
            return Err(lookup_error(code));
        }
        let mut addresses = Vec::new();
        let mut entry: *const libc::addrinfo = list;
        while !entry.is_null() {
            addresses.extend(address_of((*entry).ai_addr));
            entry = (*entry).ai_next;
        }
        libc::freeaddrinfo(list);
        Ok(addresses)
    }
}

fn lookup_error(code: c_int) -> LookupError {
    /// Not in the libc crate for every system: the name exists but has no address.
    const EAI_NODATA: c_int = if cfg!(target_os = "linux") { -5 } else { 7 };
    match code {
        libc::EAI_NONAME | EAI_NODATA => LookupError::NotFound,
        libc::EAI_AGAIN => LookupError::Temporary,
        _ => LookupError::Failed,
    }
}

/// # Safety
/// `address` is null or points to a socket address of the family that it says.
unsafe fn address_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: the caller vouches for the pointer; unaligned reads make no assumption beyond it.
    unsafe {
        match c_int::from((*address).sa_family) {
            libc::AF_INET => {
                let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr))))
            }
            libc::AF_INET6 => {
                let v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)))
            }
            _ => None,
        }
    }
}
