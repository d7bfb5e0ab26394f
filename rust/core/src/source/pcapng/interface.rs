//! Interface Description Blocks (draft-ietf-opsawg-pcapng, section 4.2).

use super::options::{Options, text};
use crate::frame::{InterfaceInfo, LinkType};
use crate::source::record::{Order, array};
use crate::source::time::TimeScale;

const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const IF_FILTER: u16 = 11;
const IF_TSOFFSET: u16 = 14;

/// Longest name that Linux gives an interface (IFNAMSIZ less the NUL).
const MAX_IFNAME: usize = 15;

/// What one block says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub info: InterfaceInfo,
    pub scale: TimeScale,
    /// An option that was passed over, and why.
    pub odd: Option<String>,
}

/// Reads the body of a block, between its lengths. `ours` says that the section was written by sniffkit.
///
/// # Errors
/// One line that says what is wrong.
pub(super) fn parse(body: &[u8], order: Order, ours: bool) -> Result<Description, String> {
    let (Some(link_type), Some(snap_len)) = (array::<2>(body, 0), array::<4>(body, 4)) else {
        return Err(format!("an interface block with {} bytes of content, 8 needed", body.len()));
    };
    let link_type = LinkType(u32::from(order.u16(link_type)));
    let mut info = InterfaceInfo::anonymous(link_type, order.u32(snap_len));
    let (mut scale, mut offset, mut odd) = (TimeScale::MICROS, 0, None);
    for option in Options::new(&body[8..], order) {
        let option = option.map_err(|what| format!("interface block: {what}"))?;
        match (option.code, option.value) {
            (IF_NAME, value) => (info.netns, info.name) = split_name(&text(value), ours),
            (IF_DESCRIPTION, value) => info.description = Some(text(value)),
            (IF_TSRESOL, &[resolution]) => scale = TimeScale::from_tsresol(resolution),
            (IF_TSOFFSET, value) if value.len() == 8 => {
                offset = array::<8>(value, 0).map_or(0, |bytes| order.i64(bytes));
            }
            // A leading 0 says that a filter text follows; 1 would be BPF byte code.
            (IF_FILTER, [0, filter @ ..]) => info.filter = Some(text(filter)),
            // As Wireshark: the times are what they are without it.
            (IF_TSRESOL | IF_TSOFFSET, value) => {
                let what =
                    || format!("interface block: option {} of {} bytes is passed over", option.code, value.len());
                odd.get_or_insert_with(what);
            }
            _ => {}
        }
    }
    Ok(Description { info, scale: scale.with_offset(offset), odd })
}

/// Namespace and interface of an `if_name`.
///
/// Our writer joins them with a slash, which no Linux interface name has. mergecap and editcap keep the names but not
/// the section's application, so names of that form count in other sections too, as long as nothing else (a URL, a
/// device path) looks like that.
fn split_name(name: &str, ours: bool) -> (Option<String>, Option<String>) {
    if name.is_empty() {
        return (None, None);
    }
    if let Some((netns, interface)) = name.rsplit_once('/') {
        let is_interface = !interface.is_empty()
            && interface.len() <= MAX_IFNAME
            && !interface.contains(|c: char| c.is_whitespace() || c == ':');
        let is_netns = !netns.is_empty() && (ours || !netns.contains(['/', '\\', ':', ' ']));
        if is_interface && is_netns {
            return (Some(netns.to_owned()), Some(interface.to_owned()));
        }
    }
    (None, Some(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(name: &str, ours: bool) -> (Option<String>, String) {
        let (netns, name) = split_name(name, ours);
        (netns, name.expect("a name"))
    }

    #[test]
    fn names_of_our_form_are_split() {
        assert_eq!(split("ns1/veth1", false), (Some("ns1".into()), "veth1".into()));
        assert_eq!(split("/proc/77/ns/net/veth1", true), (Some("/proc/77/ns/net".into()), "veth1".into()));
        assert_eq!(split("eth0", true), (None, "eth0".into()));
    }

    #[test]
    fn other_names_stay_whole() {
        for name in [
            r"\Device\NPF_{E29A}",
            "rpcap://host/eth0",
            "/dev/usbmon1",
            "ns1/",
            "/eth0",
            "a/b c",
            "lo/0123456789abcdef",
        ] {
            assert_eq!(split(name, false), (None, name.to_owned()), "{name}");
        }
        assert_eq!(split_name("", true), (None, None));
    }

    #[test]
    fn all_options() {
        let body = b"\x01\0\0\0\0\0\x04\0\
            \x02\0\x04\0eth0\x03\0\x02\0up\0\0\x09\0\x01\0\x09\0\0\0\
            \x0b\0\x04\0\0udp\x0e\0\x08\0\x02\0\0\0\0\0\0\0\0\0\0\0";
        let description = parse(body, Order::Little, false).expect("a sound block");
        assert_eq!(description.info.link_type, LinkType::ETHERNET);
        assert_eq!(description.info.snap_len, 262_144);
        assert_eq!(description.info.name.as_deref(), Some("eth0"));
        assert_eq!(description.info.description.as_deref(), Some("up"));
        assert_eq!(description.info.filter.as_deref(), Some("udp"));
        assert_eq!(description.scale.nanos(5), Some(2_000_000_005));
        assert_eq!(description.odd, None);
    }

    #[test]
    fn options_of_a_wrong_length_are_passed_over() {
        for option in [b"\x09\0\x02\0\x06\x06\0\0".as_slice(), b"\x09\0\0\0", b"\x0e\0\x04\0\x06\0\0\0"] {
            let body = [b"\x01\0\0\0\0\0\0\0", option].concat();
            let description = parse(&body, Order::Little, false).expect("a sound block");
            assert_eq!(description.scale, TimeScale::MICROS.with_offset(0));
            let what = format!("interface block: option {} of {} bytes is passed over", option[0], option[2]);
            assert_eq!(description.odd, Some(what));
        }
    }

    #[test]
    fn damage_is_named() {
        assert!(parse(b"\x01\0\0\0\0\0", Order::Little, false).unwrap_err().contains("8 needed"));
        let long = b"\x01\0\0\0\0\0\0\0\x09\0\xff\xff\x06\x06\0\0";
        let what = "interface block: option 9 of 65535 bytes in 4";
        assert_eq!(parse(long, Order::Little, false).unwrap_err(), what);
    }
}
