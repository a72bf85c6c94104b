//! rendezvous-hash
