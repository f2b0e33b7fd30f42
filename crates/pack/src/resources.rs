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
/// Most entries of all tables and most bytes of all resources that are read: tables may name the same
/// bytes again and again.
const MAX_ENTRIES: u64 = 4096;
const MAX_BYTES: u64 = 64 << 20;

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

/// A section of resources that lies at `address` in memory, where it must have room.
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
        out.u32s(&[address.wrapping_add(data), resource.data.len() as u32, 0, 0]);
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
    let mut tables = Tables { view, left: MAX_ENTRIES };
    let mut bytes_left = MAX_BYTES;
    let mut resources = Vec::new();
    for (kind, ids) in tables.entries(IS_TABLE)? {
        for (id, languages) in tables.entries(ids)? {
            for (language, place) in tables.entries(languages)? {
                let place = u64::from(place);
                let (address, len) = (view.u32(place)?, view.u32(place + 4)?);
                bytes_left = bytes_left.checked_sub(u64::from(len))?;
                let data = bytes(address, len)?.to_vec();
                resources.push(Resource { kind, id, language, data });
            }
        }
    }
    Some(resources)
}

/// The tables of a section.
struct Tables<'a> {
    view: View<'a>,
    /// Entries that may still be read.
    left: u64,
}

impl Tables<'_> {
    /// Numbers and offsets in the table at an offset with [`IS_TABLE`].
    fn entries(&mut self, offset: u32) -> Option<Vec<(u32, u32)>> {
        let at = u64::from(offset.checked_sub(IS_TABLE)?);
        let named = u64::from(self.view.u16(at + 12)?);
        let numbered = u64::from(self.view.u16(at + 14)?);
        self.left = self.left.checked_sub(named + numbered)?;
        let entry = |index: u64| {
            let at = at + u64::from(TABLE) + index * u64::from(ENTRY);
            Some((self.view.u32(at)?, self.view.u32(at + 4)?))
        };
        (named..named + numbered).map(entry).collect()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE_OF_DATA: u32 = 0x1000;

    #[test]
    fn a_section_reads_back() {
        let resource =
            |kind, id, data: &[u8]| Resource { kind, id, language: 0, data: data.into() };
        let all = vec![resource(3, 1, b"one"), resource(3, 2, b"second"), resource(16, 1, b"")];
        let bytes = section(all.clone(), PLACE_OF_DATA);
        let at = |address: u32, len: u32| {
            View(&bytes).bytes(u64::from(address - PLACE_OF_DATA), u64::from(len))
        };
        assert_eq!(read(&bytes, at), Some(all));
    }

    #[test]
    fn tables_that_name_the_same_again_are_refused() {
        let data = vec![0; 1 << 20];
        let read = |count: usize, len: usize| {
            // Each entry of the first table leads to the second, whose entries lead to the third.
            let second = TABLE + ENTRY * count as u32;
            let third = second + TABLE + ENTRY;
            let mut out = Out(Vec::new());
            out.table((0..count as u32).map(|id| (id, IS_TABLE | second)));
            out.table([(0, IS_TABLE | third)].into_iter());
            out.table([(0, third + TABLE + ENTRY)].into_iter());
            out.u32s(&[PLACE_OF_DATA, len as u32, 0, 0]);
            super::read(&out.0, |_, len| data.get(..len as usize))
        };
        assert_eq!(read(60, data.len()).map(|found| found.len()), Some(60));
        assert_eq!(read(70, data.len()), None, "more than 64 MB");
        assert_eq!(read(1365, 1).map(|found| found.len()), Some(1365));
        assert_eq!(read(1366, 1), None, "more than 4096 entries");
    }
}
