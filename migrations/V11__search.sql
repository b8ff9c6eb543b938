-- One index for all that a search looks for, made anew: pairs of characters, single letters, initial consonants, four
-- digits in a row, phone numbers, mail addresses and amounts as a whole, and of which block of payments each is, so that a
-- question can be put to a few blocks at a time however many payments there are (see store::search). It is filled again
-- behind the writes once the server runs, oldest first; until then the newest payments are read instead.
drop table payment_search;
drop table payment_keys;
create virtual table payment_search using fts5 (words, content = '', contentless_delete = 1, tokenize = 'ascii');

delete from setting where key in ('search_filled', 'search_keys_filled');
