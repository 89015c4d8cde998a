-- Stands where the last step of an upgrade wants to write, when most is done.
CREATE TABLE seen (somebody_elses TEXT);
