/** What each kind of statement is called and how grave it is. The names are PostgreSQL's command names. */
import type { Risk } from '../../model/action.ts'

export interface Operation {
  readonly name: string
  readonly risk: Risk
}

/** Nodes of the parser that need no look inside to be named. What is in no table here is unknown and grave. */
const plain: Readonly<Record<string, Operation>> = {
  SelectStmt: { name: 'SELECT', risk: 'read' },
  InsertStmt: { name: 'INSERT', risk: 'write' },
  UpdateStmt: { name: 'UPDATE', risk: 'write' },
  DeleteStmt: { name: 'DELETE', risk: 'delete' },
  MergeStmt: { name: 'MERGE', risk: 'write' },
  TruncateStmt: { name: 'TRUNCATE', risk: 'delete' },
  ExplainStmt: { name: 'EXPLAIN', risk: 'read' },
  VariableShowStmt: { name: 'SHOW', risk: 'read' },
  PrepareStmt: { name: 'PREPARE', risk: 'read' },
  ExecuteStmt: { name: 'EXECUTE', risk: 'read' },
  DeallocateStmt: { name: 'DEALLOCATE', risk: 'read' },
  DeclareCursorStmt: { name: 'DECLARE CURSOR', risk: 'read' },
  FetchStmt: { name: 'FETCH', risk: 'read' },
  ClosePortalStmt: { name: 'CLOSE', risk: 'read' },
  DiscardStmt: { name: 'DISCARD', risk: 'read' },
  ListenStmt: { name: 'LISTEN', risk: 'read' },
  UnlistenStmt: { name: 'UNLISTEN', risk: 'read' },
  NotifyStmt: { name: 'NOTIFY', risk: 'write' },
  ConstraintsSetStmt: { name: 'SET CONSTRAINTS', risk: 'read' },
  LockStmt: { name: 'LOCK TABLE', risk: 'write' },
  CallStmt: { name: 'CALL', risk: 'write' },
  DoStmt: { name: 'DO', risk: 'admin' },
  LoadStmt: { name: 'LOAD', risk: 'admin' },
  CheckPointStmt: { name: 'CHECKPOINT', risk: 'admin' },
  VacuumStmt: { name: 'VACUUM', risk: 'write' },
  ClusterStmt: { name: 'CLUSTER', risk: 'write' },
  ReindexStmt: { name: 'REINDEX', risk: 'write' },
  CommentStmt: { name: 'COMMENT', risk: 'write' },
  SecLabelStmt: { name: 'SECURITY LABEL', risk: 'admin' },
  RefreshMatViewStmt: { name: 'REFRESH MATERIALIZED VIEW', risk: 'write' },
  RuleStmt: { name: 'CREATE RULE', risk: 'admin' },
  CreateStmt: { name: 'CREATE TABLE', risk: 'write' },
  CreateForeignTableStmt: { name: 'CREATE FOREIGN TABLE', risk: 'admin' },
  CreateSchemaStmt: { name: 'CREATE SCHEMA', risk: 'write' },
  CreateSeqStmt: { name: 'CREATE SEQUENCE', risk: 'write' },
  AlterSeqStmt: { name: 'ALTER SEQUENCE', risk: 'write' },
  ViewStmt: { name: 'CREATE VIEW', risk: 'write' },
  IndexStmt: { name: 'CREATE INDEX', risk: 'write' },
  CreateStatsStmt: { name: 'CREATE STATISTICS', risk: 'write' },
  AlterStatsStmt: { name: 'ALTER STATISTICS', risk: 'write' },
  CreateFunctionStmt: { name: 'CREATE FUNCTION', risk: 'admin' },
  AlterFunctionStmt: { name: 'ALTER FUNCTION', risk: 'admin' },
  CreateTrigStmt: { name: 'CREATE TRIGGER', risk: 'admin' },
  CreateEventTrigStmt: { name: 'CREATE EVENT TRIGGER', risk: 'admin' },
  AlterEventTrigStmt: { name: 'ALTER EVENT TRIGGER', risk: 'admin' },
  CreateDomainStmt: { name: 'CREATE DOMAIN', risk: 'write' },
  AlterDomainStmt: { name: 'ALTER DOMAIN', risk: 'write' },
  CreateEnumStmt: { name: 'CREATE TYPE', risk: 'write' },
  CreateRangeStmt: { name: 'CREATE TYPE', risk: 'write' },
  CompositeTypeStmt: { name: 'CREATE TYPE', risk: 'write' },
  AlterEnumStmt: { name: 'ALTER TYPE', risk: 'write' },
  AlterTypeStmt: { name: 'ALTER TYPE', risk: 'admin' },
  AlterObjectSchemaStmt: { name: 'ALTER SET SCHEMA', risk: 'write' },
  AlterOwnerStmt: { name: 'ALTER OWNER', risk: 'admin' },
  AlterObjectDependsStmt: { name: 'ALTER DEPENDS', risk: 'write' },
  CreateTableSpaceStmt: { name: 'CREATE TABLESPACE', risk: 'admin' },
  DropTableSpaceStmt: { name: 'DROP TABLESPACE', risk: 'admin' },
  CreatedbStmt: { name: 'CREATE DATABASE', risk: 'admin' },
  AlterDatabaseStmt: { name: 'ALTER DATABASE', risk: 'admin' },
  AlterDatabaseSetStmt: { name: 'ALTER DATABASE', risk: 'admin' },
  AlterDatabaseRefreshCollStmt: { name: 'ALTER DATABASE', risk: 'admin' },
  DropdbStmt: { name: 'DROP DATABASE', risk: 'admin' },
  CreateRoleStmt: { name: 'CREATE ROLE', risk: 'admin' },
  AlterRoleStmt: { name: 'ALTER ROLE', risk: 'admin' },
  AlterRoleSetStmt: { name: 'ALTER ROLE', risk: 'admin' },
  DropRoleStmt: { name: 'DROP ROLE', risk: 'admin' },
  GrantRoleStmt: { name: 'GRANT ROLE', risk: 'admin' },
  AlterDefaultPrivilegesStmt: { name: 'ALTER DEFAULT PRIVILEGES', risk: 'admin' },
  ReassignOwnedStmt: { name: 'REASSIGN OWNED', risk: 'admin' },
  DropOwnedStmt: { name: 'DROP OWNED', risk: 'admin' },
  AlterSystemStmt: { name: 'ALTER SYSTEM', risk: 'admin' },
  CreatePolicyStmt: { name: 'CREATE POLICY', risk: 'admin' },
  AlterPolicyStmt: { name: 'ALTER POLICY', risk: 'admin' },
  CreateExtensionStmt: { name: 'CREATE EXTENSION', risk: 'admin' },
  AlterExtensionStmt: { name: 'ALTER EXTENSION', risk: 'admin' },
  AlterExtensionContentsStmt: { name: 'ALTER EXTENSION', risk: 'admin' },
  CreateFdwStmt: { name: 'CREATE FOREIGN DATA WRAPPER', risk: 'admin' },
  AlterFdwStmt: { name: 'ALTER FOREIGN DATA WRAPPER', risk: 'admin' },
  CreateForeignServerStmt: { name: 'CREATE SERVER', risk: 'admin' },
  AlterForeignServerStmt: { name: 'ALTER SERVER', risk: 'admin' },
  CreateUserMappingStmt: { name: 'CREATE USER MAPPING', risk: 'admin' },
  AlterUserMappingStmt: { name: 'ALTER USER MAPPING', risk: 'admin' },
  DropUserMappingStmt: { name: 'DROP USER MAPPING', risk: 'admin' },
  ImportForeignSchemaStmt: { name: 'IMPORT FOREIGN SCHEMA', risk: 'admin' },
  CreatePLangStmt: { name: 'CREATE LANGUAGE', risk: 'admin' },
  CreateAmStmt: { name: 'CREATE ACCESS METHOD', risk: 'admin' },
  CreateCastStmt: { name: 'CREATE CAST', risk: 'admin' },
  CreateConversionStmt: { name: 'CREATE CONVERSION', risk: 'admin' },
  CreateTransformStmt: { name: 'CREATE TRANSFORM', risk: 'admin' },
  CreateOpClassStmt: { name: 'CREATE OPERATOR CLASS', risk: 'admin' },
  CreateOpFamilyStmt: { name: 'CREATE OPERATOR FAMILY', risk: 'admin' },
  AlterOpFamilyStmt: { name: 'ALTER OPERATOR FAMILY', risk: 'admin' },
  AlterOperatorStmt: { name: 'ALTER OPERATOR', risk: 'admin' },
  AlterCollationStmt: { name: 'ALTER COLLATION', risk: 'write' },
  AlterTSDictionaryStmt: { name: 'ALTER TEXT SEARCH DICTIONARY', risk: 'write' },
  AlterTSConfigurationStmt: { name: 'ALTER TEXT SEARCH CONFIGURATION', risk: 'write' },
  CreatePublicationStmt: { name: 'CREATE PUBLICATION', risk: 'admin' },
  AlterPublicationStmt: { name: 'ALTER PUBLICATION', risk: 'admin' },
  CreateSubscriptionStmt: { name: 'CREATE SUBSCRIPTION', risk: 'admin' },
  AlterSubscriptionStmt: { name: 'ALTER SUBSCRIPTION', risk: 'admin' },
  DropSubscriptionStmt: { name: 'DROP SUBSCRIPTION', risk: 'admin' },
  AlterTableSpaceOptionsStmt: { name: 'ALTER TABLESPACE', risk: 'admin' },
  AlterTableMoveAllStmt: { name: 'ALTER TABLE', risk: 'admin' },
}

/** Objects whose end changes who may do what. */
const graveObjects: ReadonlySet<string> = new Set([
  'EVENT TRIGGER',
  'EXTENSION',
  'FDW',
  'FOREIGN SERVER',
  'FUNCTION',
  'LANGUAGE',
  'POLICY',
  'PROCEDURE',
  'PUBLICATION',
  'ROUTINE',
  'RULE',
  'TRIGGER',
])

/** Changes of a table that change who may see or do what. */
const graveAlterations = /^AT_(ChangeOwner|.*RowSecurity|.*Trig.*|.*Rule.*|GenericOptions|ReplicaIdentity)$/

const transactions: Readonly<Record<string, string>> = {
  TRANS_STMT_BEGIN: 'BEGIN',
  TRANS_STMT_START: 'START TRANSACTION',
  TRANS_STMT_COMMIT: 'COMMIT',
  TRANS_STMT_ROLLBACK: 'ROLLBACK',
  TRANS_STMT_SAVEPOINT: 'SAVEPOINT',
  TRANS_STMT_RELEASE: 'RELEASE',
  TRANS_STMT_ROLLBACK_TO: 'ROLLBACK TO',
  TRANS_STMT_PREPARE: 'PREPARE TRANSACTION',
  TRANS_STMT_COMMIT_PREPARED: 'COMMIT PREPARED',
  TRANS_STMT_ROLLBACK_PREPARED: 'ROLLBACK PREPARED',
}

/** Name and risk of a statement by its own node, without what it contains. Undefined: not known here. */
export function operationOf(tag: string, node: Readonly<Record<string, unknown>>): Operation | undefined {
  switch (tag) {
    case 'TransactionStmt': {
      const name = transactions[String(node['kind'])]
      return name === undefined ? undefined : { name, risk: name.includes('PREPARE') ? 'write' : 'read' }
    }
    case 'DropStmt': {
      const object = objectName(node['removeType'])
      return { name: `DROP ${object}`, risk: graveObjects.has(object) ? 'admin' : 'delete' }
    }
    case 'GrantStmt':
      return { name: node['is_grant'] === true ? 'GRANT' : 'REVOKE', risk: 'admin' }
    case 'CreateTableAsStmt':
      return {
        name: `CREATE ${objectName(node['objtype'])}${node['objtype'] === 'OBJECT_TABLE' ? ' AS' : ''}`,
        risk: 'write',
      }
    case 'DefineStmt':
      return { name: `CREATE ${objectName(node['kind'])}`, risk: 'admin' }
    case 'RenameStmt':
      return { name: `ALTER ${objectName(node['renameType'])}`, risk: 'write' }
    case 'AlterTableStmt':
      return { name: `ALTER ${objectName(node['objtype'])}`, risk: alterRisk(node['cmds']) }
    case 'CopyStmt':
      return copyOperation(node)
    case 'VariableSetStmt':
      return { name: setName(node), risk: 'read' }
    default:
      return Object.hasOwn(plain, tag) ? plain[tag] : undefined
  }
}

/** `COPY TO` and `COPY FROM` speak to the client; with a file or a program they reach into the server. */
function copyOperation(node: Readonly<Record<string, unknown>>): Operation {
  const direction = node['is_from'] === true ? 'COPY FROM' : 'COPY TO'
  if (node['is_program'] === true) return { name: `${direction} PROGRAM`, risk: 'admin' }
  if (node['filename'] !== undefined) return { name: `${direction} FILE`, risk: 'admin' }
  return { name: direction, risk: node['is_from'] === true ? 'write' : 'read' }
}

function setName(node: Readonly<Record<string, unknown>>): string {
  const verb = String(node['kind']).startsWith('VAR_RESET') ? 'RESET' : 'SET'
  switch (node['name']) {
    case 'role':
      return `${verb} ROLE`
    case 'session_authorization':
      return `${verb} SESSION AUTHORIZATION`
    case 'TRANSACTION':
    case 'TRANSACTION SNAPSHOT':
    case 'SESSION CHARACTERISTICS':
      return 'SET TRANSACTION'
    default:
      return verb
  }
}

function objectName(value: unknown): string {
  const name = String(value)
    .replace(/^OBJECT_/, '')
    .replaceAll('_', ' ')
  return name === 'MATVIEW' ? 'MATERIALIZED VIEW' : name
}

function alterRisk(cmds: unknown): Risk {
  return subtypes(cmds).some(each => graveAlterations.test(each)) ? 'admin' : 'write'
}

function subtypes(cmds: unknown): string[] {
  if (!Array.isArray(cmds)) return []
  return cmds.map((each: { AlterTableCmd?: { subtype?: string } }) => each.AlterTableCmd?.subtype ?? '')
}
