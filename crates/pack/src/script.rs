//! The shell script at the front of a portable file.
//!
//! It picks the engine for this system out of the file, puts it into the user's cache once, and
//! becomes it (`exec`): process, arguments and standard streams stay the same. It uses POSIX shell
//! and tools that Linux (also busybox), macOS and the BSDs have: `uname`, `cksum`, `tail -c`,
//! `head -c` (OpenBSD: `dd`, slowly), `gzip`, `mktemp`, `id`. Names end in `_` to keep clear of
//! exported variables.

use std::fmt::Write;
use std::ops::Range;

use crate::pe;
use crate::target::Target;

/// How the file begins: bytes that Windows takes for an executable's, and a shell for the begin of
/// a quoted text. The rest of the old header, which holds the offset of the new one, stays within
/// the quotes.
pub const PORTABLE_MAGIC: &[u8] = b"MZllama='\n";
/// How the file for Unix begins.
pub const UNIX_MAGIC: &[u8] = b"#!/bin/sh\n";

/// An engine in the file, for the script.
pub struct Place {
    /// System.
    pub target: Target,
    /// Where the bytes begin that it is compressed in.
    pub offset: u64,
    /// What `cksum` says of these.
    pub stored: String,
    /// Bytes of other engines before it, among what they hold.
    pub skip: u64,
    /// Where the program is, compressed by gzip, that takes it out of these; `None` where gzip does.
    pub unpacker: Option<Range<u64>>,
    /// Name of the executable in the cache.
    pub hash: String,
    /// What `cksum` says of the executable.
    pub cksum: String,
}

/// The front of a file for Windows and Unix; the PE headers follow.
pub fn portable(places: &[Place]) -> Vec<u8> {
    let mut front = PORTABLE_MAGIC.to_vec();
    front.resize(pe::OFFSET_FIELD as usize, b'\n');
    front.extend_from_slice(&[0; 4]);
    front.extend_from_slice(b"'\n");
    front.extend_from_slice(body(places).as_bytes());
    front
}

/// The front of a file for Unix, which also starts without a shell.
pub fn unix(places: &[Place]) -> Vec<u8> {
    [UNIX_MAGIC, body(places).as_bytes()].concat()
}

fn body(places: &[Place]) -> String {
    let mut cases = String::new();
    for place in places {
        let Place { target, offset, stored, skip, unpacker, hash, cksum } = place;
        let names: Vec<String> = target.uname().iter().map(|name| format!("'{name}'")).collect();
        if names.is_empty() {
            continue;
        }
        // tail counts from 1.
        let (names, from) = (names.join(" | "), offset + 1);
        let _ = write!(cases, "{names}) is_ {hash} {cksum} {from} {stored}");
        if let Some(Range { start, end }) = unpacker {
            let _ = write!(cases, " {} {} {skip}", start + 1, end - start);
        }
        cases.push_str(" ;;\n");
    }
    format!("{FIND}{cases}{RUN}")
}

/// Finds the file and the system. A shell that found the file by PATH may tell its name only. `is_` is
/// told of the engine: its name in the cache, its checksum and size; where the bytes are that it is
/// compressed in, with their checksum and size; and, where it takes an unpacker, where that is, its
/// size, and the bytes before the engine.
const FIND: &str = r#"file_=$0
case $file_ in
*/*) ;;
*) if [ -f "$file_" ]; then file_=./$file_; else file_=$(command -v "$file_"); fi ;;
esac
: "${PATH:=/usr/local/bin:/usr/bin:/bin}"
system_=$(uname -sm) caches_=.cache
case $system_ in Darwin*)
caches_=Library/Caches
[ "$(sysctl -n hw.optional.arm64 2>&1)" = 1 ] && system_='Darwin arm64' ;;
esac
is_() {
hash_=$1 sum_="$2 $3" size_=$3
from_=$4 as_="$5 $6" as_size_=$6
tool_=$7 tool_size_=$8 skip_=$9
}
case $system_ in
"#;

/// Places the engine and becomes it. A place is good if the engine has its checksum and starts:
/// not so on a read-only or noexec file system. Shared folders must be the user's own.
const RUN: &str = r#"*) echo "$file_: no engine for $system_ in this file" >&2; exit 1 ;;
esac
cut_() { tail -c +$1 "$file_" | { head -c $2 || dd bs=1 count=$2; } 2>/dev/null; }
stored_() { cut_ $from_ $as_size_; }
unpack_() {
[ "$tool_" ] || { stored_ | gzip -dc; return; }
cut_ $tool_ $tool_size_ | gzip -dc >"$1/unpack"
chmod 755 "$1/unpack"
stored_ | "$1/unpack" $skip_ $size_
}
whole_() { case $(cksum) in "$1" | "$1 "*) ;; *) false ;; esac; }
good_() { [ -x "$1" ] && whole_ "$sum_" <"$1"; }
place_() {
engine_=$1/$hash_
good_ "$engine_" && return
mkdir -p "$1" && new_=$(mktemp -d "$1/.$hash_.XXXXXX") || return
unpack_ "$new_" >"$new_/engine"
chmod 755 "$new_/engine"
good_ "$new_/engine" && "$new_/engine" --version && mv -f "$new_/engine" "$engine_"
placed_=$?
rm -rf "$new_"
return $placed_
}
shared_() {
own_=$1/llamafile-$(id -u)
mkdir -m 700 "$own_"
[ -O "$own_" ] && [ ! -L "$own_" ] && place_ "$own_"
}
cache_=$LLAMAFILE_CACHE
if [ ! "$cache_" ]; then
cache_=${XDG_CACHE_HOME:-${HOME:+$HOME/$caches_}}
cache_=${cache_:+$cache_/llamafile}
fi
anywhere_() {
[ "$cache_" ] && place_ "$cache_/engines" ||
shared_ "${TMPDIR:-/tmp}" || shared_ /tmp || shared_ /dev/shm
}
if anywhere_ </dev/null >/dev/null 2>&1; then
exec "$engine_" --llamafile "$file_" "$@"
fi
if stored_ | whole_ "$as_"; then
echo "$file_: no folder to run the engine from (tried $cache_, ${TMPDIR:-/tmp}, /dev/shm)
Set LLAMAFILE_CACHE to one where programs may run, or retarget the file elsewhere." >&2
else
echo "$file_: its engine for $system_ is incomplete or damaged; fetch the file again" >&2
fi
exit 126
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Vec<Place> {
        Target::ALL
            .into_iter()
            .map(|target| Place {
                target,
                offset: 99_999_999,
                stored: "4294967295 99999999".into(),
                skip: 99_999_999,
                unpacker: Some(99_000_000..99_999_999),
                hash: "0123456789abcdef".into(),
                cksum: "4294967295 999999999".into(),
            })
            .collect()
    }

    #[test]
    fn the_script_leaves_room_for_pe_headers() {
        // Signature, file header, optional header and 16 sections.
        let headers = 4 + 20 + 240 + 16 * 40;
        assert!(portable(&places()).len() + headers <= pe::HEADERS as usize);
    }

    #[test]
    fn shells_see_text() {
        let front = portable(&places());
        let first = front.iter().position(|byte| *byte == b'\n').unwrap();
        assert!(!front[..first].contains(&0), "shells take a file with a NUL there for a binary");
        assert_eq!(front.iter().position(|byte| *byte == 0), Some(0x3c));
        assert_eq!(&front[0x40..0x42], b"'\n");
        assert!(unix(&places()).starts_with(b"#!/bin/sh\n"));
    }
}
