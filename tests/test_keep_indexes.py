"""Each index costs every writer time: in the newer tables, none repeats the first columns of another one."""

from django.db import connection

# indkey: the numbers of the columns, 0 for an expression. Django's `_like` indexes have another operator class.
REPEATED = """
    SELECT short.indexrelid::regclass::text, long.indexrelid::regclass::text
    FROM pg_index AS short JOIN pg_index AS long USING (indrelid) JOIN pg_class AS found ON found.oid = short.indexrelid
    WHERE short.indrelid::regclass::text ~ '^workers_(jobattempt|selectedjob|alarmmessage|incident|pause|queuehour)$'
        AND short.indexrelid <> long.indexrelid AND NOT short.indisunique
        AND short.indpred IS NULL AND long.indpred IS NULL
        AND NOT 0 = ANY(short.indkey) AND found.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
        AND long.indkey::text || ' ' LIKE short.indkey::text || ' %'
        AND long.indclass::text || ' ' LIKE short.indclass::text || ' %'"""


def test_no_index_repeats_the_first_columns_of_another_one(db):
    with connection.cursor() as cursor:
        cursor.execute(REPEATED)
        assert cursor.fetchall() == []
