//! What a claim to an address can be.

/// One judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Finding {
    /// First claim to the address.
    New,
    /// Another station than before claims the address.
    Changed,
    /// The address went back to a station that had it before.
    FlipFlop,
    /// Two stations answer for the address, or the one that took it over goes on saying so unasked.
    Conflict,
    /// The Ethernet source is not the sender that the message names.
    Mismatch,
    /// An answer that nobody asked for.
    Unsolicited,
    /// A station announces itself more often than any protocol asks for.
    GratuitousStorm,
    /// A station claims the address of a router that is not its own.
    GatewayTakeover,
}

/// Every finding, the gravest of those that the `finding` column has last.
const ALL: [(Finding, &str); 8] = [
    (Finding::New, "new"),
    (Finding::Changed, "changed"),
    (Finding::FlipFlop, "flip-flop"),
    (Finding::Conflict, "conflict"),
    (Finding::Mismatch, "mismatch"),
    (Finding::Unsolicited, "unsolicited"),
    (Finding::GratuitousStorm, "gratuitous-storm"),
    (Finding::GatewayTakeover, "gateway-takeover"),
];

impl Finding {
    /// Its name in tables and alerts.
    #[must_use]
    pub fn name(self) -> &'static str {
        ALL[self as usize].1
    }
}

/// All judgements of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings(u8);

impl Findings {
    /// Adds one.
    pub fn add(&mut self, finding: Finding) {
        self.0 |= 1 << finding as u8;
    }

    /// Whether it is among them.
    #[must_use]
    pub fn has(self, finding: Finding) -> bool {
        self.0 & 1 << finding as u8 != 0
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = Finding> {
        ALL.iter().map(|(finding, _)| *finding).filter(move |finding| self.has(*finding))
    }

    /// The gravest of those up to [`Finding::Mismatch`]: what stands in the `finding` column.
    #[must_use]
    pub fn main(self) -> Option<Finding> {
        self.iter().filter(|finding| *finding <= Finding::Mismatch).last()
    }
}
