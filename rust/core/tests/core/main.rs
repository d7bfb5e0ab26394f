//! The core through its public face. One program for all files: linking one costs more than most of their tests.

mod captures;
mod conversations;
mod decode_hostile;
mod decode_layers;
mod direct_columns;
mod dns_flows;
mod flow_bounds;
mod glance;
mod hosts;
mod http2;
mod multicast_dns;
mod neighbor;
#[cfg(feature = "table")]
mod packet_groups;
#[cfg(feature = "table")]
mod parquet_tables;
mod pieces;
mod prepared;
mod quic_flows;
mod recognised;
mod segments;
mod sources;
mod stream_bounds;
mod tls_segments;
mod turns;
