"""What psycopg 3 sees of a server, printed: the same directly and through a gateway."""
import sys

import psycopg

with psycopg.connect(sys.argv[1]) as connection:
    connection.add_notice_handler(lambda notice: print("notice", notice.message_primary))
    connection.execute("create temp table t(a int primary key, b text, c bytea, d numeric, g int[])")
    with connection.cursor() as cursor:
        cursor.executemany("insert into t values (%s, %s, %s, %s, %s)", [(each, "x" * each, b"\x00\xff", each / 2, [each, None]) for each in range(20)])
        print(cursor.rowcount)
    for binary in (False, True):
        with connection.cursor(binary=binary) as cursor:
            cursor.execute("select * from t where a < %s order by a", (5,))
            print([(each.name, each.type_code) for each in cursor.description], cursor.fetchall())
    for each in range(8):  # prepared by itself after the fifth time
        print(connection.execute("select b from t where a = %s", (each,)).fetchone())
    with connection.pipeline():
        first = connection.execute("select 1")
        second = connection.execute("select %s::text", ("two",))
        print(first.fetchone(), second.fetchone())
    try:
        with connection.pipeline(), connection.transaction():
            connection.execute("insert into t(a) values (500)")
            connection.execute("select 1 / 0")
    except psycopg.Error as error:
        print(type(error).__name__, error.sqlstate, error.diag.message_primary)
    print(connection.info.transaction_status.name)
    connection.rollback()
    connection.execute("create temp table u(a int, b text)")
    with connection.cursor() as cursor:
        with cursor.copy("copy u from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            for each in range(5):
                copy.write_row((each, "y" * each))
        with cursor.copy("copy u to stdout") as copy:
            print([row for row in copy.rows()])
    with connection.cursor("named") as cursor:
        cursor.execute("select a from u order by a")
        print(cursor.fetchmany(2), cursor.fetchall())
    connection.execute("do $$ begin raise notice 'noticed'; end $$")
    print(connection.info.server_version, connection.info.encoding)
