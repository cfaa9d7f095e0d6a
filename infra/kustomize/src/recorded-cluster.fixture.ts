import type { Answer, Kubectl } from './kubectl.ts';
import { parseManifests } from './manifest.ts';

interface Running {
  revision: number;
  readonly history: Map<number, string>;
  template: string;
}

/**
 * A cluster as kubectl shows it, as far as a deploy looks at one: it keeps revisions of workloads, and notes every call. It stands
 * where kubectl is called and nowhere else; what a real API server makes of the calls it cannot say.
 */
export class RecordedCluster implements Kubectl {
  readonly calls: string[] = [];
  readonly workloads = new Map<string, Running>();
  readonly secrets = new Set<string>();
  record: string | undefined;
  version = '1.32.4';
  isReachable = true;
  /** Images that the registry does not have: workloads with one never become ready. */
  readonly lostImages = new Set<string>();
  readonly stuckPods = new Set<string>();
  isRefusing = false;
  #revisions = 0;

  run(args: readonly string[], input = ''): Promise<Answer> {
    const given = parseManifests(input);
    const what = given.map(({ kind, metadata }) => `${kind.toLowerCase()}/${metadata.name}`);
    this.calls.push(what.length > 0 && what.length < 3 ? `${short(args)} < ${what.join(' ')}` : short(args));
    const [verb = '', noun = ''] = args;
    if (verb === 'version') return this.#version();
    if (!this.isReachable) return answer('', 1, 'connection refused');
    if (verb === 'apply') return this.#apply(input, args.includes('--dry-run=server'));
    if (verb === 'get') return this.#get(noun);
    if (verb === 'rollout') return this.#rollout(noun, args);
    if (verb === 'delete') return this.#delete(args, what);
    return answer('', 1, `unknown command ${args.join(' ')}`);
  }

  imageOf(workload: string): string | undefined {
    return this.workloads.get(workload)?.template;
  }

  #version() {
    const text = JSON.stringify({ clientVersion: { gitVersion: `v${this.version}` } }, null, 2);
    return this.isReachable ? answer(text) : answer(text, 1, 'connection refused');
  }

  #apply(input: string, isDry: boolean) {
    if (this.isRefusing) return answer('', 1, 'admission webhook denied the request');
    if (isDry) return answer('');
    for (const object of parseManifests(input)) {
      const { kind, metadata } = object;
      if (kind === 'ConfigMap' && metadata.name === 'last-deploy') this.record = JSON.stringify(object);
      if (kind !== 'Deployment' && kind !== 'StatefulSet') continue;
      const image = /image: (\S+)|"image":"([^"]+)"/.exec(input)?.[1] ?? '';
      this.#become(`${kind.toLowerCase()}/${metadata.name}`, image);
    }
    return answer('');
  }

  #become(name: string, template: string): void {
    const running = this.workloads.get(name) ?? { revision: 0, history: new Map(), template: '' };
    this.workloads.set(name, running);
    if (running.template === template) return;
    running.template = template;
    running.revision = ++this.#revisions;
    running.history.set(running.revision, template);
    if (name.startsWith('statefulset/') && this.lostImages.has(template))
      this.stuckPods.add(`${name.slice('statefulset/'.length)}-0`);
  }

  #get(noun: string) {
    if (noun === 'secrets') return answer([...this.secrets].map((name) => `secret/${name}`).join('\n'));
    if (noun === 'configmap') return answer(this.record ?? '');
    if (noun === 'pods')
      return answer(JSON.stringify({ items: [...this.stuckPods].map((name) => ({ metadata: { name }, status: {} })) }));
    const items = Array.from(this.workloads, ([name, { revision }]) => {
      const [kind, base] = name.split('/');
      if (kind === 'deployment')
        return [
          {
            kind: 'Deployment',
            metadata: { name: base, annotations: { 'deployment.kubernetes.io/revision': String(revision) } },
          },
        ];
      const set = { kind: 'StatefulSet', metadata: { name: base }, status: { updateRevision: `${base}-${revision}` } };
      return [set, { kind: 'ControllerRevision', metadata: { name: `${base}-${revision}` }, revision }];
    });
    return answer(JSON.stringify({ items: items.flat() }));
  }

  #rollout(verb: string, args: readonly string[]) {
    const name = args[2] ?? '';
    const running = this.workloads.get(name);
    if (running === undefined) return answer('', 1, `${name} not found`);
    if (verb === 'undo') {
      const to = Number(args.find((one) => one.startsWith('--to-revision='))?.split('=')[1]);
      const template = running.history.get(to);
      if (template === undefined) return answer('', 1, `unable to find specified revision ${to}`);
      this.#become(name, template);
      return answer('');
    }
    const isStuck = this.stuckPods.has(`${name.split('/')[1]}-0`);
    return this.lostImages.has(running.template) || isStuck ? answer('', 1, 'error: timed out waiting') : answer('');
  }

  #delete(args: readonly string[], what: readonly string[]) {
    for (const name of [...args, ...what]) {
      this.workloads.delete(name);
      this.stuckPods.delete(name);
      if (name === 'last-deploy') this.record = undefined;
    }
    return answer('');
  }
}

function short(args: readonly string[]): string {
  const dropped = [
    '--namespace',
    'meridian',
    '--server-side',
    '--force-conflicts',
    '--field-manager',
    '--filename',
    '-',
  ];
  return args.filter((one) => !dropped.includes(one)).join(' ');
}

function answer(stdout: string, code = 0, stderr = ''): Promise<Answer> {
  return Promise.resolve({ code, stdout, stderr });
}
