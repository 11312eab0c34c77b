/** Golden: a routes file goes in, its recording comes out. `UPDATE_GOLDEN=1` writes what came out; read the diff. */
import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { type Recording, ROUTER_PROTOCOL, type RouterProtocol } from '../../src/router/protocol.ts';

const projectDir = join(import.meta.dirname, 'fixtures', 'routes');
const backends = { api: { domainOrIp: 'api.example' } };

async function record(file: string): Promise<Recording> {
  const module = (await import(file)) as { default: { [ROUTER_PROTOCOL]: RouterProtocol } };
  return module.default[ROUTER_PROTOCOL].record({ projectDir, backends });
}

describe('a routes file becomes a table', () => {
  for (const file of globSync(join(projectDir, '*.ts'))) {
    test(`of ${basename(file)} as it is written down`, async () => {
      const actual = JSON.parse(JSON.stringify(await record(file))) as unknown;
      const golden = file.replace(/\.ts$/, '.golden.json');
      if (process.env.UPDATE_GOLDEN) writeFileSync(golden, `${JSON.stringify(actual, null, 2)}\n`);
      assert.deepEqual(actual, JSON.parse(readFileSync(golden, 'utf8')));
    });
  }

  test('that nothing can change any more', async () => {
    const { table } = await record(join(projectDir, 'storefront.ts'));
    assert.ok(Object.isFrozen(table.main.routes[0]!.requestOps));
    assert.deepEqual(JSON.parse(JSON.stringify(table)), table);
  });
});
