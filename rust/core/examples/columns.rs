//! How long each column of the packet table takes: `columns FILE [SLICE]`.
#![allow(clippy::disallowed_methods)]

use sniffkit_core::pipeline::Decoded;
use sniffkit_core::source::{CaptureFiles, Input, Source};
use sniffkit_core::table::packets::{COLUMNS, Rows, There};
use sniffkit_core::table::parquet::chunk::{Encoder, Spare};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: columns FILE [SLICE]")?;
    let slice: usize = args.next().map_or(Ok(128), |text| text.parse())?;
    let mut source = CaptureFiles::open([Input::from(path.as_str())])?;
    let mut decoded = Decoded::default();
    let mut times = vec![(Duration::ZERO, Duration::ZERO); COLUMNS.len()];
    let mut spare = Spare::default();
    let new = |spare: &mut Spare| -> Vec<Encoder> {
        COLUMNS.iter().map(|c| Encoder::new(&c.kind.data_type(), 1 << 17, spare).unwrap()).collect()
    };
    let mut encoders = new(&mut spare);
    let mut rows = 0;
    let mut all = Duration::ZERO;
    let (mut read, mut decode) = (Duration::ZERO, Duration::ZERO);
    let mut bytes = 0;
    loop {
        let start = Instant::now();
        let more = source.next_batch(&mut decoded.batch)?;
        read += start.elapsed();
        let start = Instant::now();
        if more {
            decoded.decode();
        }
        decode += start.elapsed();
        if more {
            let start = Instant::now();
            let there = There::of(&decoded);
            let all_rows = Rows::new(&decoded, &there);
            let pieces: Box<dyn Iterator<Item = Rows>> = if slice > 100_000 {
                Box::new(std::iter::once(Rows::new(&decoded, &there)))
            } else {
                Box::new(all_rows.pieces())
            };
            for piece in pieces {
                rows += piece.len();
                for ((column, encoder), time) in COLUMNS.iter().zip(&mut encoders).zip(&mut times) {
                    let start = if slice > 100_000 { Some(Instant::now()) } else { None };
                    column.direct.unwrap()(&piece, encoder);
                    if let Some(s) = start {
                        time.0 += s.elapsed();
                    }
                }
            }
            all += start.elapsed();
        }
        if rows >= 1 << 17 || !more {
            rows = 0;
            let next = new(&mut spare);
            for (encoder, time) in std::mem::replace(&mut encoders, next).into_iter().zip(&mut times) {
                let start = Instant::now();
                bytes += encoder.close(&mut spare)?.bytes.len();
                time.1 += start.elapsed();
            }
            if !more {
                break;
            }
        }
    }
    if slice > 100_000 {
        for (column, (a, b)) in COLUMNS.iter().zip(&times) {
            println!("{:20} {:7.2?} {:7.2?}", column.name, a, b);
        }
    }
    println!(
        "read {read:.0?} decode {decode:.0?} fill {all:.0?} close {:.0?} bytes {bytes}",
        times.iter().map(|t| t.1).sum::<Duration>()
    );
    Ok(())
}
