//! Zone transfers, whose answers come in as many messages as they need (RFC 5936, 2.2; RFC 1995, 4).

use super::message::Message;

const SOA: u16 = 6;
const IXFR: u16 = 251;
const AXFR: u16 = 252;

/// How far the answer of a zone transfer has come. Its first and its last record are the zone's SOA; where the second is that of
/// an older version, changes follow, of which the last additions begin with the new SOA too.
#[derive(Debug)]
pub(super) struct Transfer {
    is_incremental: bool,
    /// The zone's SOA, as text.
    soa: String,
    records: u64,
    /// How often the SOA is still to come.
    left: u32,
}

impl Transfer {
    /// That which a query asks for, if it does.
    pub fn asked(query: &Message) -> Option<Self> {
        let qtype = query.questions.first()?.qtype;
        let transfer = Self { is_incremental: qtype == IXFR, soa: String::new(), records: 0, left: 1 };
        matches!(qtype, IXFR | AXFR).then_some(transfer)
    }

    /// Takes the next message; whether there are more.
    pub fn goes_on(&mut self, message: &Message) -> bool {
        if message.rcode != 0 {
            return false;
        }
        for answer in &message.answers {
            self.records += 1;
            let is_soa = answer.rtype == SOA;
            match self.records {
                1 if !is_soa => return false,
                1 => self.soa.clone_from(&answer.data),
                _ => {
                    let is_this = is_soa && answer.data == self.soa;
                    self.left += u32::from(self.records == 2 && is_soa && !is_this);
                    self.left -= u32::from(is_this);
                    if self.left == 0 {
                        return false;
                    }
                }
            }
        }
        // A secondary that has this version is told the SOA alone (RFC 1995, 4).
        self.records > 1 || (self.records == 1 && !self.is_incremental)
    }
}
