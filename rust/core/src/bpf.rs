//! Classic BPF over bytes: what the kernel's socket filter would say of a frame in a file.
//!
//! Source: McCanne and Jacobson, "The BSD Packet Filter" (1993); Linux `Documentation/networking/filter.rst`.

/// One instruction, as `struct sock_filter` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Jump if true.
    pub jt: u8,
    /// Jump if false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// A program that was checked: jumps stay inside, it ends with a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

/// Longest header whose length is a nibble of words, bytes.
const MAX_HEADER: u32 = 60;

/// Jumps back within one frame, as `protochain` makes for each header; the kernel has none, tcpdump no bound.
const MAX_LOOPS: usize = 1024;

/// Memory words of the machine.
const WORDS: usize = 16;

impl Program {
    /// Checks a program.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(code: Vec<Instruction>) -> Result<Self, &'static str> {
        if code.is_empty() || code.len() > 4096 {
            return Err("a filter program has 1 to 4096 instructions");
        }
        for (at, instruction) in code.iter().enumerate() {
            let rest = code.len() - at - 1;
            let fits = match instruction.code & 7 {
                5 if instruction.code & 0xf0 == 0 => jump(at + 1, instruction.k).is_some_and(|to| to < code.len()),
                5 => usize::from(instruction.jt).max(usize::from(instruction.jf)) < rest,
                0 | 1 if instruction.code & 0xe0 == 0x60 => (instruction.k as usize) < WORDS,
                2 | 3 => (instruction.k as usize) < WORDS,
                _ => true,
            };
            if !fits {
                return Err("a jump or memory word is out of range");
            }
        }
        if code.last().is_some_and(|last| last.code & 7 != 6) {
            return Err("the program does not end with a return");
        }
        Ok(Self(code))
    }

    /// The instructions.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }

    /// `true` if the filter lets a frame pass that was `wire_len` bytes long on the wire.
    #[must_use]
    pub fn matches(&self, frame: &[u8], wire_len: u32) -> bool {
        self.run(frame, wire_len) != 0
    }

    /// How many bytes of a frame the program looks at, at most; `None` if that depends on what they are, beyond the length of
    /// an IPv4 or TCP header.
    #[must_use]
    pub fn reach(&self) -> Option<u32> {
        let mut reach = 0;
        for i in &self.0 {
            let size = match i.code & 0x18 {
                0x00 => 4,
                0x08 => 2,
                _ => 1,
            };
            let end = match i.code & 0xe7 {
                0x20 => i.k.saturating_add(size),
                0x40 => i.k.saturating_add(size + MAX_HEADER),
                // Into X: the length of a header (0xb1 is `ldxb 4*([k]&0xf)`) and nothing else.
                0xa1 => i.k.saturating_add(1),
                0x01 | 0x21 | 0x41 | 0x61 | 0x81 => return None,
                _ if i.code & 7 == 7 && i.code & 0xf8 == 0 => return None,
                _ => 0,
            };
            reach = reach.max(end);
        }
        Some(reach)
    }

    /// Runs the program: how many bytes of the frame to keep, 0 for none.
    /// A load beyond the captured bytes ends it with 0, as the kernel does.
    #[must_use]
    pub fn run(&self, frame: &[u8], wire_len: u32) -> u32 {
        let (mut a, mut x) = (0u32, 0u32);
        let mut memory = [0u32; WORDS];
        let (mut pc, mut loops) = (0usize, 0);
        while let Some(i) = self.0.get(pc) {
            pc += 1;
            let k = i.k;
            match i.code & 7 {
                0 | 1 => {
                    let Some(value) = load(i.code, k, x, &memory, frame, wire_len) else { return 0 };
                    if i.code & 7 == 0 { a = value } else { x = value }
                }
                2 => memory[k as usize % WORDS] = a,
                3 => memory[k as usize % WORDS] = x,
                4 => {
                    let operand = if i.code & 8 == 0 { k } else { x };
                    a = match i.code & 0xf0 {
                        0x00 => a.wrapping_add(operand),
                        0x10 => a.wrapping_sub(operand),
                        0x20 => a.wrapping_mul(operand),
                        0x30 => match a.checked_div(operand) {
                            Some(value) => value,
                            None => return 0,
                        },
                        0x40 => a | operand,
                        0x50 => a & operand,
                        0x60 => a.checked_shl(operand).unwrap_or(0),
                        0x70 => a.checked_shr(operand).unwrap_or(0),
                        0x80 => a.wrapping_neg(),
                        0x90 => match a.checked_rem(operand) {
                            Some(value) => value,
                            None => return 0,
                        },
                        0xa0 => a ^ operand,
                        _ => return 0,
                    };
                }
                5 => {
                    let operand = if i.code & 8 == 0 { k } else { x };
                    let yes = match i.code & 0xf0 {
                        0x00 => {
                            loops += usize::from((k as i32) < 0);
                            match jump(pc, k) {
                                Some(to) if loops <= MAX_LOOPS => pc = to,
                                _ => return 0,
                            }
                            continue;
                        }
                        0x10 => a == operand,
                        0x20 => a > operand,
                        0x30 => a >= operand,
                        0x40 => a & operand != 0,
                        _ => return 0,
                    };
                    pc += usize::from(if yes { i.jt } else { i.jf });
                }
                6 => return if i.code & 0x18 == 0x10 { a } else { k },
                _ => {
                    if i.code & 0xf8 == 0x80 {
                        a = x
                    } else {
                        x = a
                    }
                }
            }
        }
        0
    }
}

/// Where `ja` leads to from the instruction behind it: libpcap's own machine takes its operand as signed.
fn jump(next: usize, k: u32) -> Option<usize> {
    next.checked_add_signed(k as i32 as isize)
}

fn load(code: u16, k: u32, x: u32, memory: &[u32; WORDS], frame: &[u8], wire_len: u32) -> Option<u32> {
    let at = match code & 0xe0 {
        0x00 => return Some(k),
        0x20 => k as usize,
        0x40 => (k as usize).checked_add(x as usize)?,
        0x60 => return Some(memory[k as usize % WORDS]),
        0x80 => return Some(wire_len),
        // 4 times the low nibble: the length of an IPv4 header
        0xa0 => return Some(u32::from(*frame.get(k as usize)? & 0x0f) * 4),
        _ => return None,
    };
    let bytes = frame.get(at..)?;
    Some(match code & 0x18 {
        0x00 => u32::from_be_bytes(*bytes.first_chunk()?),
        0x08 => u32::from(u16::from_be_bytes(*bytes.first_chunk()?)),
        0x10 => u32::from(*bytes.first()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
        Instruction { code, jt, jf, k }
    }

    /// `tcpdump -d arp`: ldh [12]; jeq #0x806; ret #262144; ret #0
    fn arp() -> Program {
        Program::new(vec![op(0x28, 0, 0, 12), op(0x15, 0, 1, 0x0806), op(6, 0, 0, 262_144), op(6, 0, 0, 0)]).unwrap()
    }

    #[test]
    fn tells_arp_from_ip() {
        let mut frame = [0; 60];
        frame[12..14].copy_from_slice(&[8, 6]);
        assert_eq!(arp().run(&frame, 60), 262_144);
        frame[13] = 0;
        assert!(!arp().matches(&frame, 60));
    }

    #[test]
    fn a_load_beyond_the_frame_does_not_match() {
        assert!(!arp().matches(&[0; 13], 13));
    }

    #[test]
    fn how_far_a_program_looks() {
        assert_eq!(arp().reach(), Some(14));
        // tcpdump -d 'tcp port 80', its last loads: ldxb 4*([14]&0xf); ldh [x + 16]
        let tcp = Program::new(vec![op(0xb1, 0, 0, 14), op(0x48, 0, 0, 16), op(6, 0, 0, 1)]).unwrap();
        assert_eq!(tcp.reach(), Some(16 + 2 + 60));
        let computed =
            Program::new(vec![op(0x30, 0, 0, 20), op(7, 0, 0, 0), op(0x50, 0, 0, 9), op(6, 0, 0, 1)]).unwrap();
        assert_eq!(computed.reach(), None, "tax");
    }

    #[test]
    fn a_loop_ends() {
        let forever = Program::new(vec![op(0x05, 0, 0, -1i32 as u32), op(6, 0, 0, 1)]).unwrap();
        assert!(!forever.matches(&[0; 60], 60));
        // add #1; jeq #to; ja back; ret #1
        let count = |to| {
            let code = vec![op(4, 0, 0, 1), op(0x15, 1, 0, to), op(5, 0, 0, -3i32 as u32), op(6, 0, 0, 1)];
            Program::new(code).unwrap()
        };
        assert!(count(MAX_LOOPS as u32 + 1).matches(&[], 0));
        assert!(!count(MAX_LOOPS as u32 + 2).matches(&[], 0));
    }

    #[test]
    fn refuses_jumps_out_of_the_program() {
        assert!(Program::new(vec![op(0x15, 9, 0, 0), op(6, 0, 0, 0)]).is_err());
        assert!(Program::new(vec![op(0x05, 0, 0, 1), op(6, 0, 0, 0)]).is_err());
        assert!(Program::new(vec![op(0x05, 0, 0, -2i32 as u32), op(6, 0, 0, 0)]).is_err());
        assert!(Program::new(vec![op(0x28, 0, 0, 12)]).is_err());
    }
}
