//! Rows to columns: the tables of the contract as Arrow record batches, and Parquet.

pub mod arp;
pub mod column;
pub mod file;
pub mod flows;
pub mod hosts;
pub mod packets;
pub mod parquet;
pub mod reader;
pub mod service;
pub mod write;
