//! Resources of Windows executables: icons and descriptions in a section of their own (Microsoft's
//! "PE Format", "The .rsrc Section").
//!
//! They form a tree: kinds, then numbers, then languages, then places of the data.

use crate::bytes::View;

/// Bytes of a table before its entries, of an entry, and of a place of data.
const TABLE: u32 = 16;
const ENTRY: u32 = 8;
const PLACE: u32 = 16;
/// Flag of an offset to another table.
const IS_TABLE: u32 = 1 << 31;
/// Most entries of a table that are read.
const MAX_ENTRIES: u64 = 4096;

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// What it is: an icon, say.
    pub kind: u32,
    /// Its number among those of its kind.
    pub id: u32,
    /// Its language.
    pub language: u32,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// A section of resources that lies at `address` in memory.
pub fn section(mut resources: Vec<Resource>, address: u32) -> Vec<u8> {
    resources.sort();
    let kinds: Vec<&[Resource]> = resources.chunk_by(|a, b| a.kind == b.kind).collect();
    let numbers: Vec<&[Resource]> =
        resources.chunk_by(|a, b| (a.kind, a.id) == (b.kind, b.id)).collect();
    let table = |entries: usize| TABLE + ENTRY * entries as u32;
    let ids = |kind: &[Resource]| kind.chunk_by(|a, b| a.id == b.id).count();

    // Tables in the order of their level, then places, then data.
    let second = table(kinds.len());
    let third = second + kinds.iter().map(|kind| table(ids(kind))).sum::<u32>();
    let places = third + numbers.iter().map(|number| table(number.len())).sum::<u32>();
    let mut data = places + PLACE * resources.len() as u32;

    let mut out = Out(Vec::new());
    let mut next = second;
    out.table(kinds.iter().map(|kind| {
        let at = next;
        next += table(ids(kind));
        (kind[0].kind, IS_TABLE | at)
    }));
    let mut next = third;
    for kind in &kinds {
        out.table(kind.chunk_by(|a, b| a.id == b.id).map(|number| {
            let at = next;
            next += table(number.len());
            (number[0].id, IS_TABLE | at)
        }));
    }
    let mut next = places;
    for number in &numbers {
        out.table(number.iter().map(|resource| {
            let at = next;
            next += PLACE;
            (resource.language, at)
        }));
    }
    for resource in &resources {
        data = data.next_multiple_of(8);
        out.u32s(&[address + data, resource.data.len() as u32, 0, 0]);
        data += resource.data.len() as u32;
    }
    for resource in &resources {
        out.0.resize(out.0.len().next_multiple_of(8), 0);
        out.0.extend_from_slice(&resource.data);
    }
    out.0
}

/// All resources of an executable that are numbered. `section` begins with the first table, and
/// `bytes` finds those at an address in memory.
pub fn read<'a>(
    section: &'a [u8],
    bytes: impl Fn(u32, u32) -> Option<&'a [u8]>,
) -> Option<Vec<Resource>> {
    let view = View(section);
    let mut resources = Vec::new();
    for (kind, ids) in entries(view, IS_TABLE)? {
        for (id, languages) in entries(view, ids)? {
            for (language, place) in entries(view, languages)? {
                let place = u64::from(place);
                let data = bytes(view.u32(place)?, view.u32(place + 4)?)?.to_vec();
                resources.push(Resource { kind, id, language, data });
            }
        }
    }
    Some(resources)
}

/// Numbers and offsets in the table at an offset with [`IS_TABLE`].
fn entries(view: View<'_>, offset: u32) -> Option<Vec<(u32, u32)>> {
    let at = u64::from(offset.checked_sub(IS_TABLE)?);
    let (named, numbered) = (u64::from(view.u16(at + 12)?), u64::from(view.u16(at + 14)?));
    if named + numbered > MAX_ENTRIES {
        return None;
    }
    let entry = |index: u64| {
        let at = at + u64::from(TABLE) + index * u64::from(ENTRY);
        Some((view.u32(at)?, view.u32(at + 4)?))
    };
    (named..named + numbered).map(entry).collect()
}

/// Little-endian output.
struct Out(Vec<u8>);

impl Out {
    fn u32s(&mut self, values: &[u32]) {
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    /// A table without named entries.
    fn table(&mut self, entries: impl Iterator<Item = (u32, u32)>) {
        let entries: Vec<_> = entries.collect();
        self.u32s(&[0, 0, 0, (entries.len() as u32) << 16]);
        for (number, offset) in entries {
            self.u32s(&[number, offset]);
        }
    }
}
