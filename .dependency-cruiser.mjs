/** The house rules of ARCHITECTURE.md, "Who may import whom", as checks. */
const service = '^services/([^/]+)/';
export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'services-never-import-services',
      severity: 'error',
      from: { path: service },
      to: { path: service, pathNot: '^services/$1/' },
    },
    {
      name: 'L0-imports-nothing-of-ours',
      severity: 'error',
      from: { path: '^packages/(causality|failure)/' },
      to: { path: '^(packages|services|infra|models)/', pathNot: '^packages/(causality|failure)/' },
    },
    { name: 'packages-below-services', severity: 'error', from: { path: '^packages/' }, to: { path: '^services/' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(\\.state|/dist/)' },
    // TypeScript 7 has no JavaScript API; swc parses type imports too.
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.mjs', '.js'],
    },
  },
};
