//! Holds the tokens on record against the provider's bill.

use super::{Evidence, Found};
use crate::faults::bill::Tokens;
use crate::faults::log::{End, Sent};
use serde_json::Value;

impl Found {
    /// The provider is asked once, every final count is the provider's own ([`super::fits`] looks at those of complete answers), and
    /// estimates are noted.
    pub(super) fn cost(&mut self, one: &Sent, record: Option<&Value>, evidence: &Evidence) {
        let Some(bill) = evidence.bills.get(&one.marker) else {
            return;
        };
        self.billed += bill.tokens.all();
        if bill.times > 1 {
            self.wrong(format!("the provider was asked {} times: {one:?}", bill.times));
        }
        let Some(record) = record else {
            self.unbooked += bill.tokens.all();
            return;
        };
        let booked = Tokens::of(record);
        if record["estimated"] == true {
            self.estimates.add(booked, bill.tokens);
        } else if one.end != End::Complete && booked != bill.whole {
            self.wrong(format!("{booked:?} are no estimate, but {bill:?}: {one:?}: {record}"));
        }
    }
}
