//! Extra fields: 64-bit values and other names.
//!
//! Model layer.

use super::{u16_at, u32_at, u64_at};
use crate::model::finding::{Code, Findings};

const EXTRA_ZIP64: u16 = 0x0001;
const EXTRA_UNICODE_PATH: u16 = 0x7075;

/// The extra fields that matter.
pub(super) struct ExtraFields<'bytes> {
    pub(super) zip64: Option<&'bytes [u8]>,
}

impl<'bytes> ExtraFields<'bytes> {
    pub(super) fn parse(
        bytes: &'bytes [u8],
        raw_name: &[u8],
        name: &str,
        findings: &mut Findings,
    ) -> Self {
        let mut zip64 = None;
        let mut unicode_path = false;
        let mut rest = bytes;
        while rest.len() >= 4 {
            let (id, length) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
            let Some(data) = rest.get(4..4 + length) else {
                break;
            };
            rest = &rest[4 + length..];
            match id {
                EXTRA_ZIP64 if zip64.is_some() => findings.add_member(
                    Code::ZipZip64Extra,
                    name,
                    "the zip64 extra field is there twice",
                ),
                EXTRA_ZIP64 => zip64 = Some(data),
                EXTRA_UNICODE_PATH => {
                    // Version, CRC-32 of the name that it stands for, the name in UTF-8.
                    let agrees = data.len() >= 5
                        && data[0] == 1
                        && u32_at(data, 1) == crc32fast::hash(raw_name)
                        && &data[5..] == raw_name;
                    if !agrees || unicode_path {
                        let what = if unicode_path {
                            "a second Unicode name"
                        } else {
                            "a Unicode name other than the header's"
                        };
                        findings.add_member(
                            Code::ZipUnicodePath,
                            name,
                            format!("an extra field gives {what}"),
                        );
                    }
                    unicode_path = true;
                }
                _ => {}
            }
        }
        if !rest.is_empty() {
            findings.add_member(
                Code::ZipExtraField,
                name,
                format!("the extra fields end with {} bytes that are no field", rest.len()),
            );
        }
        Self { zip64 }
    }
}

/// The values that a header keeps in 32 bits, or in a zip64 extra field where they do not fit, in
/// that field's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wide {
    pub(super) size: u64,
    pub(super) compressed: u64,
    pub(super) offset: u64,
    pub(super) disk: u64,
}

/// Reads the values of a header. The format wants those alone in the zip64 field whose 16- or
/// 32-bit field is saturated. A field that repeats what the header says in full is let pass as
/// well: every reader then gets the same values.
pub(super) fn widen(
    header: Wide,
    field: Option<&[u8]>,
    name: &str,
    findings: &mut Findings,
) -> Wide {
    let mut wide = header;
    let mut refuse = |message: &str| findings.add_member(Code::ZipZip64Extra, name, message);
    let mut values = [
        (&mut wide.size, 8),
        (&mut wide.compressed, 8),
        (&mut wide.offset, 8),
        (&mut wide.disk, 4),
    ];
    let saturated = |value: u64, width: usize| {
        value == u64::from(if width == 8 { u32::MAX } else { u16::MAX.into() })
    };
    let needed: usize = values
        .iter()
        .filter(|(value, width)| saturated(**value, *width))
        .map(|(_, width)| width)
        .sum();
    let Some(field) = field else {
        if needed > 0 {
            refuse("a field of the header refers to a zip64 extra field that is not there");
        }
        return wide;
    };
    if needed != field.len() && needed > 0 {
        refuse(&format!(
            "the zip64 extra field has {} bytes, the header calls for {needed}",
            field.len()
        ));
        return wide;
    }
    let mut at = 0;
    for (value, width) in &mut values {
        if needed > 0 && !saturated(**value, *width) {
            continue;
        }
        let Some(bytes) = field.get(at..at + *width) else {
            break;
        };
        let long = if *width == 8 { u64_at(bytes, 0) } else { u32_at(bytes, 0).into() };
        if needed == 0 && long != **value {
            break;
        }
        **value = long;
        at += *width;
    }
    if at != field.len() {
        refuse(
            "the zip64 extra field holds values that the header does not call for and that are not its own",
        );
    }
    wide
}
