//! Windows executables (the Portable Executable format), as far as launchers need it: facts of the
//! header, and adding resources.
//!
//! Model layer: bytes in, bytes out, so resources can be added on every host, always with the same
//! result.

/// Why bytes are no executable that can be worked with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeError {
    /// A signature is missing, or the file ends before the header does.
    #[error("the file is no Windows executable: {found}, expected the header of a PE file")]
    NoExecutable {
        /// What is there instead.
        found: &'static str,
    },
    /// The file is shorter than its header says.
    #[error("the executable has {found} bytes, its header describes {expected}")]
    Truncated {
        /// The file's length in bytes.
        found: u64,
        /// The end of the last section.
        expected: u64,
    },
    /// The resource directory contradicts itself.
    #[error(
        "the executable's resources cannot be read, expected a directory of types, names and languages"
    )]
    Resources,
    /// The header is full.
    #[error(
        "the executable's header has no room for another section, expected 40 free bytes behind the {sections} sections it describes"
    )]
    NoRoom {
        /// The number of sections.
        sections: u16,
    },
}

/// What the header of an executable says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The processor, as a number of the format.
    pub(super) machine: u16,
    /// Whether it has a console (3) or windows (2), as a number of the format.
    pub(super) subsystem: u16,
    /// Where the last section ends in the file.
    pub(super) end: u64,
    /// Where the file's COFF header starts.
    coff: usize,
    /// Where the optional header starts.
    optional: usize,
    /// Where the data directories start.
    directories: usize,
    /// Where the table of sections starts.
    sections: usize,
}

const SECTION_HEADER: usize = 40;
/// The index of the resources among the data directories.
const RESOURCES: usize = 2;
/// The type of resources that are just data.
const RCDATA: u32 = 10;
/// Readable, holds initialised data.
const READ_INITIALIZED: u32 = 0x4000_0040;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// A field that [`Header::parse`] has already read, as a place to write.
fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

impl Header {
    /// Reads the header of an executable.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PeError> {
        let none = |found| PeError::NoExecutable { found };
        if !bytes.starts_with(b"MZ") {
            return Err(none("it does not begin with `MZ`"));
        }
        let signature = u32_at(bytes, 0x3C).ok_or(none("it ends within the DOS header"))? as usize;
        let coff = signature.checked_add(4).ok_or(none("its PE header lies beyond its end"))?;
        if bytes.get(signature..coff) != Some(b"PE\0\0") {
            return Err(none("there is no PE signature where the DOS header points to"));
        }
        Self::read(bytes, coff).ok_or(none("its header ends early"))?.checked(bytes)
    }

    fn read(bytes: &[u8], coff: usize) -> Option<Self> {
        let optional = coff + 20;
        let directories = match u16_at(bytes, optional)? {
            0x10B => optional + 96,
            0x20B => optional + 112,
            _ => return None,
        };
        let sections = optional + usize::from(u16_at(bytes, coff + 16)?);
        let has_resources = u32_at(bytes, directories - 4)? as usize > RESOURCES
            && sections >= directories + (RESOURCES + 1) * 8;
        let header = Self {
            machine: u16_at(bytes, coff)?,
            subsystem: u16_at(bytes, optional + 68)?,
            end: u64::from(u32_at(bytes, optional + 60)?),
            coff,
            optional,
            directories,
            sections,
        };
        has_resources.then_some(header)
    }

    /// With the end of the sections, which are all there.
    fn checked(mut self, bytes: &[u8]) -> Result<Self, PeError> {
        let found = bytes.len() as u64;
        for section in self
            .section_headers(bytes)
            .ok_or(PeError::NoExecutable { found: "its table of sections ends early" })?
        {
            self.end = self.end.max(u64::from(section.file_offset) + u64::from(section.file_size));
        }
        if found < self.end {
            return Err(PeError::Truncated { found, expected: self.end });
        }
        Ok(self)
    }

    fn section_headers(&self, bytes: &[u8]) -> Option<Vec<Section>> {
        let section = |number: u16| {
            let at = self.sections + usize::from(number) * SECTION_HEADER;
            Some(Section {
                memory_size: u32_at(bytes, at + 8)?,
                address: u32_at(bytes, at + 12)?,
                file_size: u32_at(bytes, at + 16)?,
                file_offset: u32_at(bytes, at + 20)?,
            })
        };
        (0..u16_at(bytes, self.coff + 2)?).map(section).collect()
    }
}

/// A part of an executable, in the file and in memory.
struct Section {
    memory_size: u32,
    address: u32,
    file_size: u32,
    file_offset: u32,
}

/// A level of the resource directory: names (UTF-16) come before numbers, each sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Name(Vec<u16>),
    Number(u32),
}

/// Where the bytes of a resource are.
#[derive(Clone, Copy)]
enum Data<'a> {
    /// In the executable: address, size, code page.
    Kept(u32, u32, u32),
    /// New ones.
    New(&'a [u8]),
}

/// Adds resources of the type for plain data (`RCDATA`), under upper-case ASCII names, and returns
/// the new executable.
///
/// They come in a section of their own, with a directory that also names the resources that were
/// there before. What lies behind the sections is cut off. The checksum, which Windows verifies for
/// drivers only, is taken out.
pub(super) fn add_resources(bytes: &[u8], resources: &[(&str, &[u8])]) -> Result<Vec<u8>, PeError> {
    let header = Header::parse(bytes)?;
    let bytes = &bytes[..header.end as usize];
    let mut leaves = read_resources(bytes, &header).ok_or(PeError::Resources)?;
    for (name, data) in resources {
        leaves.push((
            [Key::Number(RCDATA), Key::Name(name.encode_utf16().collect()), Key::Number(0)],
            Data::New(data),
        ));
    }
    leaves.sort_by(|left, right| left.0.cmp(&right.0));
    if leaves.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(PeError::Resources);
    }
    append_section(bytes, &header, |address| write_resources(&leaves, address))
        .ok_or(PeError::Resources)?
}

type Leaf<'a> = ([Key; 3], Data<'a>);

/// Every resource of the executable by type, name and language.
fn read_resources<'a>(bytes: &[u8], header: &Header) -> Option<Vec<Leaf<'a>>> {
    let address = u32_at(bytes, header.directories + RESOURCES * 8)?;
    if address == 0 {
        return Some(Vec::new());
    }
    let sections = header.section_headers(bytes)?;
    let section = sections.iter().find(|section| {
        address.checked_sub(section.address).is_some_and(|offset| offset < section.file_size)
    })?;
    let start = section.file_offset.checked_add(address - section.address)? as usize;
    let table = bytes
        .get(start..(section.file_offset as usize).checked_add(section.file_size as usize)?)?;
    let mut leaves = Vec::new();
    let mut budget = MOST_ENTRIES;
    for (kind, names) in read_directory(table, 0, &mut budget)? {
        for (name, languages) in read_directory(table, subdirectory(names)?, &mut budget)? {
            for (language, entry) in read_directory(table, subdirectory(languages)?, &mut budget)? {
                let at = entry as usize;
                let data = Data::Kept(
                    u32_at(table, at)?,
                    u32_at(table, at.checked_add(4)?)?,
                    u32_at(table, at.checked_add(8)?)?,
                );
                leaves.push(([kind.clone(), name.clone(), language], data));
            }
        }
    }
    Some(leaves)
}

const HIGH_BIT: u32 = 1 << 31;

/// The place of a directory below another one.
fn subdirectory(offset: u32) -> Option<usize> {
    (offset & HIGH_BIT != 0).then_some((offset & !HIGH_BIT) as usize)
}

/// A directory may be listed any number of times, so that a small file could describe a huge one:
/// launchers have a dozen entries.
const MOST_ENTRIES: usize = 4096;
/// The longest name of a resource, in UTF-16 units.
const LONGEST_NAME: usize = 1024;

/// The entries of one directory, and where each leads. `budget` is the number of entries that may
/// still be read.
fn read_directory(table: &[u8], at: usize, budget: &mut usize) -> Option<Vec<(Key, u32)>> {
    let count = usize::from(u16_at(table, at.checked_add(12)?)?)
        + usize::from(u16_at(table, at.checked_add(14)?)?);
    *budget = budget.checked_sub(count)?;
    let entry = |index: usize| {
        let entry = at.checked_add(16 + index * 8)?;
        let name = u32_at(table, entry)?;
        let key = if name & HIGH_BIT == 0 {
            Key::Number(name)
        } else {
            let text = (name & !HIGH_BIT) as usize;
            let length =
                Some(usize::from(u16_at(table, text)?)).filter(|length| *length <= LONGEST_NAME)?;
            Key::Name(
                (0..length)
                    .map(|index| u16_at(table, text + 2 + index * 2))
                    .collect::<Option<_>>()?,
            )
        };
        Some((key, u32_at(table, entry.checked_add(4)?)?))
    };
    (0..count).map(entry).collect()
}

/// A resource section that will lie at `address`: directories level by level, entries, names, new
/// data. `leaves` are sorted.
fn write_resources(leaves: &[Leaf<'_>], address: u32) -> Option<Vec<u8>> {
    // The entries of level N are the distinct prefixes of N + 1 keys; those with the same parent
    // form a directory.
    let levels: [Vec<&[Key]>; 3] = [1, 2, 3].map(|length| {
        let mut prefixes: Vec<&[Key]> = leaves.iter().map(|(keys, _)| &keys[..length]).collect();
        prefixes.dedup();
        prefixes
    });
    let mut starts = [0; 4];
    let directories = [1, levels[0].len(), levels[1].len()];
    for (level, prefixes) in levels.iter().enumerate() {
        starts[level + 1] = starts[level] + directories[level] * 16 + prefixes.len() * 8;
    }
    let names_start = starts[3] + leaves.len() * 16;
    let (mut table, mut entries, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (level, prefixes) in levels.iter().enumerate() {
        let mut child = starts[level + 1];
        for directory in prefixes.chunk_by(|left, right| left[..level] == right[..level]) {
            let named =
                directory.iter().filter(|prefix| matches!(prefix[level], Key::Name(_))).count();
            table.extend_from_slice(&[0; 12]);
            table.extend_from_slice(&u16::try_from(named).ok()?.to_le_bytes());
            table.extend_from_slice(&u16::try_from(directory.len() - named).ok()?.to_le_bytes());
            for prefix in directory {
                let key = match &prefix[level] {
                    Key::Number(number) => *number,
                    Key::Name(name) => {
                        let offset = u32::try_from(names_start + names.len()).ok()?;
                        names.extend_from_slice(&u16::try_from(name.len()).ok()?.to_le_bytes());
                        names.extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
                        offset | HIGH_BIT
                    }
                };
                let (size, flag) = if level == 2 {
                    (16, 0)
                } else {
                    let children =
                        levels[level + 1].iter().filter(|below| below.starts_with(prefix)).count();
                    (16 + children * 8, HIGH_BIT)
                };
                table.extend_from_slice(&key.to_le_bytes());
                table.extend_from_slice(&(u32::try_from(child).ok()? | flag).to_le_bytes());
                child += size;
            }
        }
    }
    let mut data = Vec::new();
    let data_start = (names_start + names.len()).next_multiple_of(8);
    for (_, leaf) in leaves {
        let (place, size, code_page) = match *leaf {
            Data::Kept(place, size, code_page) => (place, size, code_page),
            Data::New(bytes) => {
                let place = address.checked_add(u32::try_from(data_start + data.len()).ok()?)?;
                data.extend_from_slice(bytes);
                data.resize(data.len().next_multiple_of(8), 0);
                (place, u32::try_from(bytes.len()).ok()?, 0)
            }
        };
        for field in [place, size, code_page, 0] {
            entries.extend_from_slice(&field.to_le_bytes());
        }
    }
    let mut section = [table, entries, names].concat();
    section.resize(data_start, 0);
    section.extend_from_slice(&data);
    Some(section)
}

/// The executable with one more section, which becomes that of its resources. `None` where a number
/// does not fit into its field.
fn append_section(
    bytes: &[u8],
    header: &Header,
    content: impl Fn(u32) -> Option<Vec<u8>>,
) -> Option<Result<Vec<u8>, PeError>> {
    let sections = header.section_headers(bytes)?;
    let count = u16::try_from(sections.len()).ok()?;
    let entry = header.sections + sections.len() * SECTION_HEADER;
    let headers_end = u32_at(bytes, header.optional + 60)? as usize;
    let free = bytes.get(entry..entry + SECTION_HEADER)?;
    if entry + SECTION_HEADER > headers_end || free.iter().any(|byte| *byte != 0) {
        return Some(Err(PeError::NoRoom { sections: count }));
    }
    let section_alignment =
        u32_at(bytes, header.optional + 32).filter(|alignment| alignment.is_power_of_two())?;
    let file_alignment = u32_at(bytes, header.optional + 36)
        .filter(|alignment| alignment.is_power_of_two() && *alignment >= 16)?;
    let memory_end = sections
        .iter()
        .map(|section| section.address.checked_add(section.memory_size.max(section.file_size)))
        .max()??;
    let address = memory_end.checked_next_multiple_of(section_alignment)?;
    let content = content(address)?;
    let memory_size = u32::try_from(content.len()).ok()?;
    let file_size = memory_size.checked_next_multiple_of(file_alignment)?;
    let file_offset = u32::try_from(bytes.len()).ok()?.checked_next_multiple_of(file_alignment)?;
    let image_size =
        address.checked_add(memory_size)?.checked_next_multiple_of(section_alignment)?;
    let initialized = u32_at(bytes, header.optional + 8)?.checked_add(file_size)?;

    let mut out = bytes.to_vec();
    out[entry..entry + 8].copy_from_slice(b".vtrsrc\0");
    for (offset, value) in [
        (8, memory_size),
        (12, address),
        (16, file_size),
        (20, file_offset),
        (36, READ_INITIALIZED),
    ] {
        put_u32(&mut out, entry + offset, value);
    }
    out[header.coff + 2..header.coff + 4].copy_from_slice(&(count + 1).to_le_bytes());
    put_u32(&mut out, header.optional + 8, initialized);
    put_u32(&mut out, header.optional + 56, image_size);
    put_u32(&mut out, header.optional + 64, 0);
    put_u32(&mut out, header.directories + RESOURCES * 8, address);
    put_u32(&mut out, header.directories + RESOURCES * 8 + 4, memory_size);
    out.resize(file_offset as usize, 0);
    out.extend_from_slice(&content);
    out.resize(file_offset as usize + file_size as usize, 0);
    Some(Ok(out))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A small executable of one section, which holds `text` in UTF-16.
    pub(in super::super) fn executable(machine: u16, subsystem: u16, text: &str) -> Vec<u8> {
        let mut bytes = vec![0; 0x200];
        let put = |bytes: &mut Vec<u8>, at: usize, value: &[u8]| {
            bytes[at..at + value.len()].copy_from_slice(value)
        };
        put(&mut bytes, 0, b"MZ");
        put(&mut bytes, 0x3C, &[0x40]);
        put(&mut bytes, 0x40, b"PE\0\0");
        put(&mut bytes, 0x44, &machine.to_le_bytes());
        put(&mut bytes, 0x46, &[1]);
        put(&mut bytes, 0x54, &[0xF0]);
        put(&mut bytes, 0x58, &0x20B_u16.to_le_bytes());
        for (at, value) in
            [(32, 0x1000), (36, 0x200), (56, 0x2000), (60, 0x200), (64, 0x1234), (108, 16)]
        {
            put_u32(&mut bytes, 0x58 + at, value);
        }
        put(&mut bytes, 0x58 + 68, &subsystem.to_le_bytes());
        put(&mut bytes, 0x148, b".rdata");
        for (at, value) in
            [(8, 0x200), (12, 0x1000), (16, 0x200), (20, 0x200), (36, READ_INITIALIZED)]
        {
            put_u32(&mut bytes, 0x148 + at, value);
        }
        bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        bytes.resize(0x400, 0);
        bytes
    }

    /// The keys and bytes of every resource.
    fn resources(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let header = Header::parse(bytes).unwrap();
        let sections = header.section_headers(bytes).unwrap();
        let key = |key: &Key| match key {
            Key::Name(name) => String::from_utf16(name).unwrap(),
            Key::Number(number) => number.to_string(),
        };
        let leaf = |(keys, data): &Leaf<'_>| {
            let Data::Kept(address, size, _) = *data else { unreachable!("read from bytes") };
            let section = sections.iter().rfind(|section| section.address <= address).unwrap();
            let start = (section.file_offset + address - section.address) as usize;
            (keys.each_ref().map(key).join("/"), bytes[start..start + size as usize].to_vec())
        };
        read_resources(bytes, &header).unwrap().iter().map(leaf).collect()
    }

    #[test]
    fn resources_are_added_to_those_that_were_there() {
        let bare = executable(0x8664, 3, "");
        let one = add_resources(&bare, &[("B", b"second"), ("A", b"")]).unwrap();
        assert_eq!(
            resources(&one),
            [("10/A/0".to_owned(), vec![]), ("10/B/0".to_owned(), b"second".to_vec())]
        );
        let two = add_resources(&one, &[("AB", b"between, and longer than eight bytes")]).unwrap();
        let between = b"between, and longer than eight bytes".to_vec();
        assert_eq!(
            resources(&two),
            [
                ("10/A/0".to_owned(), vec![]),
                ("10/AB/0".to_owned(), between),
                ("10/B/0".to_owned(), b"second".to_vec())
            ]
        );
        assert_eq!(add_resources(&one, &[("A", b"again")]), Err(PeError::Resources));
        // What was there has not moved; nothing follows the last section; the checksum is gone.
        assert_eq!(two[0x200..0x400], bare[0x200..0x400]);
        let header = Header::parse(&two).unwrap();
        assert_eq!((header.end, u32_at(&two, header.optional + 64)), (two.len() as u64, Some(0)));
        assert_eq!(u32_at(&two, header.optional + 56), Some(0x4000));
    }

    #[test]
    fn a_directory_that_contains_itself_is_refused() {
        let good = add_resources(&executable(0x8664, 3, ""), &[("A", b"one")]).unwrap();
        // Its only type, name and language each become many that lead to the same place.
        let mut bytes = good.clone();
        bytes.truncate(0x400);
        bytes.resize(0x8400, 0);
        put_u32(&mut bytes, 0x148 + 40 + 16, 0x8000);
        for entry in 0..0x0F00 {
            put_u32(&mut bytes, 0x410 + entry * 8, u32::try_from(entry).unwrap());
            put_u32(&mut bytes, 0x414 + entry * 8, HIGH_BIT);
        }
        bytes[0x40E..0x410].copy_from_slice(&0x0F00_u16.to_le_bytes());
        assert_eq!(add_resources(&bytes, &[("B", b"two")]), Err(PeError::Resources));
    }

    #[test]
    fn a_full_header_is_refused() {
        let mut bytes = executable(0x8664, 3, "");
        bytes[0x170] = 1;
        assert_eq!(add_resources(&bytes, &[("A", b"")]), Err(PeError::NoRoom { sections: 1 }));
    }

    #[test]
    fn damaged_executables_are_errors() {
        let none = |found| Err(PeError::NoExecutable { found });
        let good =
            add_resources(&executable(0x8664, 3, ""), &[("A", b"one"), ("B", b"two")]).unwrap();
        assert_eq!(Header::parse(b""), none("it does not begin with `MZ`"));
        assert_eq!(Header::parse(b"MZ"), none("it ends within the DOS header"));
        assert_eq!(
            Header::parse(&good[..0x42]),
            none("there is no PE signature where the DOS header points to")
        );
        assert_eq!(Header::parse(&good[..0x58]), none("its header ends early"));
        assert_eq!(Header::parse(&good[..0x160]), none("its table of sections ends early"));
        assert_eq!(
            Header::parse(&good[..0x3FF]),
            Err(PeError::Truncated { found: 0x3FF, expected: 0x600 })
        );
        for at in 0..good.len() {
            for value in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut bytes = good.clone();
                bytes[at] = value;
                // An error or an executable, whatever was changed.
                if let Ok(changed) = add_resources(&bytes, &[("C", b"three")]) {
                    assert!(changed.len() < 1 << 20, "{at}");
                }
            }
        }
    }
}
