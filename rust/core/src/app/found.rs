//! What parsers find: facts of a flow, rows of tables.

use super::content::{BodyFile, Work};
use super::http1::{Bodies, Exchange, Side};
use super::raw::Tap;
use super::spool::Directory;
use crate::stream::Place;
use crate::track::Uid;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What is wanted of the streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The facts that the flow table shows: names and fingerprints.
    pub facts: bool,
    /// Rows of `http`.
    pub http: bool,
    /// Rows of `files`.
    pub files: bool,
    /// Rows of `dns`.
    pub dns: bool,
    /// Rows of `tls`.
    pub tls: bool,
    /// Rows of `dhcp`.
    pub dhcp: bool,
    /// Streams as they are: rows of `streams`, or pieces for a tap.
    pub raw: bool,
    /// What is done with bodies.
    pub bodies: Work,
}

impl Wants {
    /// Nothing, where a constant is needed.
    pub const NOTHING: Self = Self {
        facts: false,
        http: false,
        files: false,
        dns: false,
        tls: false,
        dhcp: false,
        raw: false,
        bodies: Work::Count,
    };

    /// Whether anything is.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// Whether rows are, beside facts.
    #[must_use]
    pub fn rows(&self) -> bool {
        self.raw || self.http || self.files || self.dns || self.tls || self.dhcp
    }

    /// Whether only rows of messages are, whose bodies are counted at most: less work than decoding frames is.
    #[must_use]
    pub fn little(&self) -> bool {
        self.rows() && !(self.raw || self.files || self.facts) && self.bodies == Work::Count
    }
}

/// The name of a service.
pub type Name = &'static str;

/// What the application layer says of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Protocol, by content.
    #[serde(deserialize_with = "super::interned::name")]
    pub service: Option<Name>,
    /// Host of the first HTTP request.
    pub http_host: Option<CompactString>,
    /// Server name of the first ClientHello.
    pub tls_server_name: Option<CompactString>,
    /// Name of the first DNS query.
    pub dns_query: Option<CompactString>,
    /// JA4 of the first ClientHello.
    pub ja4: Option<CompactString>,
}

impl Facts {
    /// Adds what is said later; the first of each stays.
    pub fn add(&mut self, later: Self) {
        let Self { service, http_host, tls_server_name, dns_query, ja4 } = later;
        self.service = self.service.or(service);
        let Self { http_host: host, tls_server_name: server, dns_query: query, ja4: print, .. } = self;
        for (own, text) in [(host, http_host), (server, tls_server_name), (query, dns_query), (print, ja4)] {
            *own = own.take().or(text);
        }
    }

    /// Whether nothing is said.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { service, http_host, tls_server_name, dns_query, ja4 } = self;
        let texts = [http_host, tls_server_name, dns_query, ja4];
        service.is_none() && texts.into_iter().all(Option::is_none)
    }
}

/// Whose row it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The flow's uid.
    pub uid: Uid,
    /// Capture point.
    pub point: u32,
    /// 4 or 6.
    pub family: u8,
    /// IP protocol.
    pub proto: u8,
    /// Originator's address.
    pub orig: [u8; 16],
    /// Originator's port.
    pub orig_p: u16,
    /// Responder's address.
    pub resp: [u8; 16],
    /// Responder's port.
    pub resp_p: u16,
    /// Which side of the key is the originator.
    pub orig_side: u8,
}

/// A row of one of the tables.
#[derive(Debug)]
pub enum Found {
    /// An HTTP request with its response.
    Http(Box<Exchange>),
    /// A body that was transferred.
    File(Box<File>),
    /// A DNS query with its answer.
    Dns(Box<super::dns::Exchange>),
    /// A TLS handshake.
    Tls(Box<super::tls::Handshake>),
    /// One direction of a connection.
    Stream(Box<super::raw::RawStream>),
    /// A DHCP message.
    Dhcp(Box<super::dhcp::Message>),
}

impl Found {
    /// Bytes of its texts, about: by them a row may be a thousand times as large as another.
    #[must_use]
    pub fn text_len(&self) -> usize {
        let len = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Http(exchange) => exchange.text_len(),
            Self::File(file) => len(&file.name) + len(&file.url) + len(&file.path),
            Self::Dns(exchange) => exchange.text_len(),
            Self::Tls(handshake) => handshake.client.as_ref().map_or(0, super::tls::ClientHello::text_len),
            Self::Stream(stream) => len(&stream.path),
            Self::Dhcp(message) => message.text_len(),
        }
    }
}

/// A body, its coding undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Position of its exchange in the connection, from 1.
    pub depth: u32,
    /// Sent by the flow's originator.
    pub from_orig: bool,
    /// Name that the sender gave or the URL shows.
    pub name: Option<String>,
    /// Host and target of the request.
    pub url: Option<String>,
    /// Name of the file that it was written to.
    pub path: Option<String>,
    /// Content-Type without parameters.
    pub mime_type: Option<String>,
    /// Content-Encoding.
    pub encoding: Option<String>,
    /// Its bytes.
    pub body: super::content::Finished,
    /// Why it is not whole.
    pub fault: Option<&'static str>,
}

/// A row with its flow.
#[derive(Debug)]
pub struct Row {
    /// The flow.
    pub who: Who,
    /// Where the row begins: rows are ordered by it.
    pub first: Place,
    /// What was found.
    pub found: Found,
}

/// What parsers write to.
pub struct Out<'a> {
    /// What is wanted.
    pub wants: Wants,
    /// The flow.
    pub who: Who,
    /// Facts that were found now.
    pub facts: &'a mut Facts,
    /// Rows so far.
    pub rows: &'a mut Vec<Row>,
    /// Queries to groups, whose answers come in other flows.
    pub multicast: &'a mut super::dns::Multicast,
    /// Where bodies go, when somebody wants them as files.
    pub files: Option<&'a mut Directory>,
    /// Who listens to streams as they are.
    pub tap: Option<&'a mut (dyn Tap + 'static)>,
}

impl Out<'_> {
    /// Adds a row.
    pub fn row(&mut self, first: Place, found: Found) {
        self.rows.push(Row { who: self.who, first, found });
    }
}

impl Bodies for Out<'_> {
    fn open(&mut self, _exchange: &Exchange, _side: Side) -> Option<BodyFile> {
        self.files.as_mut().map(|files| files.open())
    }

    fn work(&self) -> Work {
        self.wants.bodies
    }

    fn limit(&self) -> u64 {
        self.files.as_ref().map_or(super::content::MAX_DECODED, |files| files.max_file())
    }
}
