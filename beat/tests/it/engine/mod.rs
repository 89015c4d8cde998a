//! Whole stories of the beat: what is put in, whoever is killed, away, slow or early meanwhile.

mod caught_up;
mod overlapping;
mod running;
mod scene;
mod several;
mod sources;
mod trouble;
