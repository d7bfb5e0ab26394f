//! ClientHello and ServerHello (RFC 8446, 4.1; RFC 5246, 7.4.1; extensions: RFC 6066, 7301, 8422).

use crate::decode::cursor::be16;
use smallvec::SmallVec;

/// A list of numbers; those of most hellos need no memory of their own.
pub type Numbers = SmallVec<[u16; 24]>;

/// What a ClientHello says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// `legacy_version`.
    pub version: u16,
    /// Cipher suites, GREASE included (RFC 8701).
    pub ciphers: Numbers,
    /// Extension types in order, GREASE included.
    pub extensions: Numbers,
    /// Server name of type host_name.
    pub server_name: Option<String>,
    /// Application protocols, as offered.
    pub alpn: Vec<Vec<u8>>,
    /// Supported groups.
    pub groups: Numbers,
    /// EC point formats.
    pub point_formats: SmallVec<[u8; 8]>,
    /// Signature algorithms.
    pub signatures: Numbers,
    /// `supported_versions`.
    pub versions: Numbers,
}

impl ClientHello {
    /// Bytes that its names take, about.
    pub(in crate::app) fn text_len(&self) -> usize {
        let alpn = self.alpn.iter().map(|name| size_of::<Vec<u8>>() + name.len()).sum::<usize>();
        alpn + self.server_name.as_ref().map_or(0, String::len)
    }
}

/// What a ServerHello says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// The version chosen: that of `supported_versions`, else `legacy_version`.
    pub version: u16,
    /// The cipher suite chosen.
    pub cipher: u16,
    /// The application protocol chosen; encrypted from TLS 1.3 on.
    pub alpn: Option<Vec<u8>>,
    /// It asks for another ClientHello (RFC 8446, 4.1.3).
    pub is_retry: bool,
}

/// What the random of a HelloRetryRequest is (RFC 8446, 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Reads vectors off the front; every method says `None` when the bytes do not hold what their length says.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.0.get(..len)?;
        self.0 = &self.0[len..];
        Some(taken)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }
    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| be16(bytes, 0))
    }
    fn vec8(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.u8()?);
        self.take(len)
    }
    fn vec16(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.u16()?);
        self.take(len)
    }
}

fn pairs(bytes: &[u8]) -> Numbers {
    bytes.chunks_exact(2).map(|pair| be16(pair, 0)).collect()
}

impl ClientHello {
    /// Reads the body of the handshake message. A length that does not fit gives `None`.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut at = Reader(body);
        let mut hello = Self { version: at.u16()?, ..Self::default() };
        at.take(32)?;
        at.vec8()?;
        // DTLS's cookie is not here: DTLS is not read.
        hello.ciphers = pairs(at.vec16()?);
        at.vec8()?;
        if at.0.is_empty() {
            return Some(hello); // without extensions, as before RFC 4366
        }
        let mut extensions = Reader(at.vec16()?);
        while !extensions.0.is_empty() {
            let kind = extensions.u16()?;
            let data = extensions.vec16()?;
            hello.extensions.push(kind);
            hello.extension(kind, data);
        }
        Some(hello)
    }

    /// What is wrong inside an extension leaves its field empty.
    fn extension(&mut self, kind: u16, data: &[u8]) {
        let mut at = Reader(data);
        match kind {
            0 => self.server_name = server_name(data),
            10 => self.groups = at.vec16().map(pairs).unwrap_or_default(),
            11 => self.point_formats = at.vec8().map(SmallVec::from_slice).unwrap_or_default(),
            13 => self.signatures = at.vec16().map(pairs).unwrap_or_default(),
            16 => {
                let mut list = Reader(at.vec16().unwrap_or_default());
                while let Some(protocol) = list.vec8() {
                    self.alpn.push(protocol.to_vec());
                }
            }
            43 => self.versions = at.vec8().map(pairs).unwrap_or_default(),
            _ => {}
        }
    }
}

fn server_name(data: &[u8]) -> Option<String> {
    let mut list = Reader(Reader(data).vec16()?);
    while let Some(kind) = list.u8() {
        let name = list.vec16()?;
        if kind == 0 && !name.is_empty() {
            return Some(crate::app::http1::head::text(name));
        }
    }
    None
}

impl ServerHello {
    /// Reads the body of the handshake message.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut at = Reader(body);
        let mut hello = Self { version: at.u16()?, ..Self::default() };
        hello.is_retry = at.take(32)? == RETRY;
        at.vec8()?;
        hello.cipher = at.u16()?;
        at.u8()?;
        if at.0.is_empty() {
            return Some(hello);
        }
        let mut extensions = Reader(at.vec16()?);
        while !extensions.0.is_empty() {
            let kind = extensions.u16()?;
            let mut data = Reader(extensions.vec16()?);
            match kind {
                16 => hello.alpn = data.vec16().and_then(|list| Reader(list).vec8()).map(<[u8]>::to_vec),
                43 => hello.version = data.u16().unwrap_or(hello.version),
                _ => {}
            }
        }
        Some(hello)
    }
}

/// The name of a version.
#[must_use]
pub fn version_name(version: u16) -> Option<&'static str> {
    Some(match version {
        0x0002 => "SSLv2",
        0x0300 => "SSLv3",
        0x0301 => "TLSv1.0",
        0x0302 => "TLSv1.1",
        0x0303 => "TLSv1.2",
        0x0304 => "TLSv1.3",
        0x7f00..=0x7f1c => "TLSv1.3-draft",
        _ => return None,
    })
}
