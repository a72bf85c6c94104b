//! message-field
