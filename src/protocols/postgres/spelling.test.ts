/** However a statement is spelt, it is judged as what it is. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import fc from 'fast-check'
import { judge, type Judgement, loadParser } from './judge.ts'

before(loadParser)

/** Words apart by blanks; `[name]` is an identifier. */
const forbidden: readonly string[] = [
  'DROP TABLE [payroll]',
  'DROP TABLE IF EXISTS [hr] . [payroll] CASCADE',
  'DELETE FROM [payroll]',
  'TRUNCATE [payroll]',
  'SELECT * FROM [payroll]',
  'TABLE [payroll]',
  'SELECT [salary] FROM [payroll] WHERE [id] = 1',
  'WITH [x] AS ( DELETE FROM [payroll] RETURNING * ) SELECT * FROM [x]',
  'WITH [x] AS ( SELECT 1 ) , [y] AS ( UPDATE [payroll] SET [salary] = 0 RETURNING 1 ) SELECT * FROM [y]',
  'EXPLAIN ANALYZE DELETE FROM [payroll]',
  'EXPLAIN ( ANALYZE ON , VERBOSE ) UPDATE [payroll] SET [salary] = 1',
  'COPY [payroll] TO STDOUT',
  'COPY ( SELECT * FROM [payroll] ) TO STDOUT',
  'PREPARE [p] AS DELETE FROM [payroll]',
  'DECLARE [c] CURSOR FOR SELECT * FROM [payroll]',
  'CREATE TABLE [copy] AS SELECT * FROM [payroll]',
  'SELECT * INTO [copy] FROM [payroll]',
  'CREATE VIEW [v] AS SELECT * FROM [payroll]',
  'INSERT INTO [log] SELECT [salary] FROM [payroll]',
  'MERGE INTO [payroll] USING [log] ON [payroll] . [id] = [log] . [id] WHEN MATCHED THEN DELETE',
  'SELECT ( SELECT [salary] FROM [payroll] LIMIT 1 )',
  'SELECT 1 WHERE EXISTS ( SELECT FROM [payroll] )',
  'SELECT 1 UNION ALL SELECT [salary] FROM [payroll]',
  'SELECT * FROM [log] , LATERAL ( SELECT [salary] FROM [payroll] ) [l]',
  'ALTER TABLE [payroll] RENAME TO [free]',
  'GRANT ALL ON [payroll] TO PUBLIC',
  'LOCK TABLE [payroll]',
  'DROP TRIGGER [t] ON [payroll]',
  'COMMENT ON COLUMN [payroll] . [salary] IS NULL',
  'CREATE RULE [r] AS ON INSERT TO [log] DO INSTEAD DELETE FROM [payroll]',
]

const gaps = [
  '\n',
  '\t',
  ' /**/ ',
  ' /* ; drop */ ',
  " /* ' */ ",
  ' /* a /* b */ c */ ',
  ' -- x\n',
  ' --\n',
  '  ',
  '\r\n',
  '\f',
]

function plain(text: string): string {
  return text.replaceAll(/[[\]]/g, '')
}

const cased = (word: string, mask: number): string =>
  Array.from(word)
    .map((letter, at) => ((mask >> (at % 16)) & 1 ? letter.toUpperCase() : letter.toLowerCase()))
    .join('')

/** One of the ways in which the server reads the same name. */
function identifier(name: string, way: number, mask: number): string {
  switch (way % 4) {
    case 0:
      return cased(name, mask)
    case 1:
      return `"${name}"`
    case 2:
      return `U&"${Array.from(name)
        .map(each => `\\${each.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .join('')}"`
    default:
      return `u&"!${name.charCodeAt(0).toString(16).padStart(6, '0').replace(/^/, '+')}${name.slice(1)}" UESCAPE '!'`
  }
}

function judged(text: string): readonly Judgement[] {
  const found = judge(Buffer.from(text))
  assert.ok('statements' in found, `${text}: ${'problem' in found ? found.problem : ''}`)
  return found.statements
}

const told = ({ operations, tables, qualified, columns, risk, where, known }: Judgement): unknown => ({
  operations,
  tables,
  qualified,
  columns,
  risk,
  where,
  known,
})

test('P6: another spelling of a statement is the same statement', () => {
  const choice = fc.record({
    statement: fc.constantFrom(...forbidden),
    ways: fc.array(fc.nat(3), { minLength: 24, maxLength: 24 }),
    masks: fc.array(fc.nat(65_535), { minLength: 24, maxLength: 24 }),
    spaces: fc.array(fc.constantFrom(...gaps), { minLength: 24, maxLength: 24 }),
    hidden: fc.constantFrom('', ';', 'select 1;', ';;', "select ';';", "select '--';", 'select $$;$$; '),
  })
  fc.assert(
    fc.property(choice, ({ statement, ways, masks, spaces, hidden }) => {
      const words = statement.split(' ').map((word, at) => {
        const name = /^\[(.*)\]$/.exec(word)?.[1]
        return name === undefined
          ? cased(word, masks[at % 24]!)
          : identifier(name, ways[at % 24]!, masks[at % 24]!)
      })
      const spelt = hidden + words.map((word, at) => word + spaces[at % 24]!).join('')
      assert.deepEqual(told(judged(spelt).at(-1)!), told(judged(plain(statement))[0]!), spelt)
    }),
    { numRuns: 2000 },
  )
})
