//! Capture filters over frames that were captured before, of whatever link types.

use crate::bpf::Program;
use crate::frame::{FrameBatch, FrameMeta, InterfaceInfo, LinkType};
use crate::source::{Source, SourceError, Warning};
use std::sync::Arc;

/// Makes the program of a link type, for captures of big-endian or of little-endian hosts; or says in one line why there is
/// none.
pub type Compile = Box<dyn Fn(LinkType, bool) -> Result<Program, String> + Send + Sync>;

/// Keeps only frames that match an expression.
///
/// It is compiled once for each link type that turns up. Where it makes no sense for one, none of its frames match, which
/// a warning tells; where it makes no sense for any, that is an error.
pub struct FrameFilter {
    expression: String,
    compile: Compile,
    judges: Vec<Judge>,
    /// The judge of each interface.
    of: Vec<usize>,
    warnings: Vec<Warning>,
}

/// What is made of the expression for one link type.
struct Judge {
    link_type: LinkType,
    program: Result<Program, String>,
    /// For frames of big-endian hosts, where those have another header.
    big_endian: Option<Program>,
    /// A frame came, and that none can match was told.
    told: bool,
}

/// Link types that begin with an address family in the byte order of the capturing host (LINKTYPE_NULL, LINKTYPE_ENC).
fn has_family(link_type: LinkType) -> bool {
    matches!(link_type, LinkType::NULL | LinkType(109))
}

impl FrameFilter {
    /// A filter over the frames of one source.
    #[must_use]
    pub fn new(expression: &str, compile: Compile) -> Self {
        let expression = expression.to_owned();
        Self { expression, compile, judges: Vec::new(), of: Vec::new(), warnings: Vec::new() }
    }

    /// Whether a frame of one of these interfaces, the list of its batch, matches.
    pub fn keeps(&mut self, frame: &[u8], meta: &FrameMeta, interfaces: &[Arc<InterfaceInfo>]) -> bool {
        self.meet(interfaces);
        let Some(judge) = self.of.get(meta.interface as usize).map(|at| &mut self.judges[*at]) else { return false };
        match (&judge.program, &judge.big_endian) {
            // Families are small numbers: as the decoder sees it, whatever the file's own byte order.
            (_, Some(program)) if frame.starts_with(&[0, 0]) => program.matches(frame, meta.frame_len),
            (Ok(program), _) => program.matches(frame, meta.frame_len),
            (Err(why), _) => {
                if !std::mem::replace(&mut judge.told, true) {
                    let what = why.strip_prefix(&format!("bad filter {:?}: ", self.expression)).unwrap_or(why);
                    let what = format!("no frame of link type {} matches: {what}", judge.link_type.0);
                    let input = format!("filter {:?}", self.expression);
                    self.warnings.push(Warning { input, offset: None, what });
                }
                false
            }
        }
    }

    /// Learns of the interfaces that are new in the list, which only ever grows.
    #[inline]
    fn meet(&mut self, interfaces: &[Arc<InterfaceInfo>]) {
        for info in interfaces.get(self.of.len()..).unwrap_or_default() {
            let link_type = info.link_type;
            let known = self.judges.iter().position(|judge| judge.link_type == link_type);
            self.of.push(known.unwrap_or_else(|| {
                let program = match link_type {
                    LinkType::CUSTOM_BLOCK => Err(String::new()),
                    _ => (self.compile)(link_type, false),
                };
                let big_endian = has_family(link_type).then(|| (self.compile)(link_type, true).ok()).flatten();
                // A custom block is no frame for tcpdump, and `ip` of raw IPv6 a question with an answer.
                let all = |why: &String| why.contains("expression rejects all packets");
                let told = link_type == LinkType::CUSTOM_BLOCK || program.as_ref().is_err_and(all);
                self.judges.push(Judge { link_type, program, big_endian, told });
                self.judges.len() - 1
            }));
        }
    }

    /// Leaves only what matches in a batch, and a warning for each link type of which nothing can.
    pub fn apply(&mut self, batch: &mut FrameBatch) {
        let FrameBatch { data, frames, interfaces, reached, .. } = batch;
        frames.retain(|meta| {
            let start = meta.offset as usize;
            data.get(start..start + meta.cap_len as usize).is_some_and(|frame| self.keeps(frame, meta, interfaces))
        });
        reached.warnings.append(&mut self.warnings);
    }

    /// Takes the warnings that no batch had.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    /// Whether a frame of the source, as far as that is known, can match.
    ///
    /// # Errors
    /// [`SourceError::Filter`] where the expression makes no sense for any link type that there is.
    pub fn check(&mut self, source: &dyn Source) -> Result<(), SourceError> {
        let Some(interfaces) = source.all_interfaces() else { return Ok(()) };
        self.meet(interfaces);
        let judges = self.judges.iter().filter(|judge| judge.link_type != LinkType::CUSTOM_BLOCK);
        let mut refusals = judges.map(|judge| judge.program.as_ref().err());
        match refusals.next() {
            Some(Some(why)) if refusals.all(|why| why.is_some()) => Err(SourceError::Filter(why.clone())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::Instruction;
    use crate::frame::Interfaces;

    /// A source of which these are all interfaces.
    struct Given(Option<Interfaces>);

    impl Source for Given {
        fn next_batch(&mut self, _: &mut FrameBatch) -> Result<bool, SourceError> {
            Ok(false)
        }

        fn all_interfaces(&self) -> Option<&Interfaces> {
            self.0.as_ref()
        }

        fn take_warnings(&mut self) -> Vec<Warning> {
            Vec::new()
        }
    }

    /// A filter that takes every Ethernet frame and makes no sense for anything else.
    fn ethernet() -> FrameFilter {
        let all = || Program::new(vec![Instruction { code: 6, jt: 0, jf: 0, k: 1 }]).map_err(str::to_owned);
        let compile = move |link_type, _| match link_type {
            LinkType::ETHERNET => all(),
            LinkType(other) => Err(format!("bad filter \"all\": not on {other}")),
        };
        FrameFilter::new("all", Box::new(compile))
    }

    fn interfaces(links: &[LinkType]) -> Interfaces {
        Arc::new(links.iter().map(|link| Arc::new(InterfaceInfo::anonymous(*link, 0))).collect())
    }

    #[test]
    fn a_link_type_that_cannot_be_judged_is_told_of_once() {
        let links = [LinkType::LINUX_SLL, LinkType::LINUX_SLL, LinkType::CUSTOM_BLOCK, LinkType::ETHERNET];
        let mut filter = ethernet();
        for told in [1, 0] {
            let mut batch = FrameBatch { interfaces: interfaces(&links), ..FrameBatch::default() };
            (0..4).for_each(|interface| batch.push(FrameMeta { interface, ..FrameMeta::default() }, b"frame"));
            filter.apply(&mut batch);
            assert_eq!(batch.frames.iter().map(|meta| meta.interface).collect::<Vec<_>>(), [3]);
            assert_eq!(batch.reached.warnings.len(), told);
            for warning in &batch.reached.warnings {
                assert_eq!(warning.to_string(), "filter \"all\": no frame of link type 113 matches: not on 113");
            }
        }
    }

    #[test]
    fn it_is_an_error_once_no_link_type_can_come_that_fits() {
        let check = |links: Option<&[LinkType]>| {
            ethernet().check(&Given(links.map(interfaces))).map_err(|error| error.to_string())
        };
        let (custom, raw, fit) = (LinkType::CUSTOM_BLOCK, LinkType::RAW, LinkType::ETHERNET);
        assert_eq!(check(None), Ok(()), "others may come");
        for fine in [&[][..], &[custom], &[raw, fit], &[fit, raw]] {
            assert_eq!(check(Some(fine)), Ok(()), "{fine:?}");
        }
        for bad in [&[raw][..], &[custom, raw], &[raw, raw]] {
            assert_eq!(check(Some(bad)), Err("bad filter \"all\": not on 101".to_owned()), "{bad:?}");
        }
    }
}
