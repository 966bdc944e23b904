// Builds the page, the silent sign-in page and the service worker into dist/.

import { brotliCompressSync, gzipSync } from 'node:zlib';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import webpack from 'webpack';
import { InjectManifest } from 'workbox-webpack-plugin';

const here = import.meta.dirname;
const { Compilation, sources } = webpack;

/** Writes the pages that name the built files, whose names hold their hashes. */
class Pages {
  constructor(/** @type {Record<string, string>} page → entry */ pages) {
    this.pages = pages;
  }

  apply(compiler) {
    compiler.hooks.thisCompilation.tap('Pages', (compilation) => {
      const stage = Compilation.PROCESS_ASSETS_STAGE_ADDITIONAL;
      compilation.hooks.processAssets.tap({ name: 'Pages', stage }, () => {
        for (const [page, entry] of Object.entries(this.pages)) {
          const template = path.join(here, 'src', page);
          compilation.fileDependencies.add(template);
          const html = readFileSync(template, 'utf8').replace('<!-- built files -->', this.tags(compilation, entry));
          compilation.emitAsset(page, new sources.RawSource(html));
        }
      });
    });
  }

  tags(compilation, entry) {
    const files = compilation.entrypoints.get(entry).getFiles();
    const styles = files.filter((file) => file.endsWith('.css')).map((file) => `<link rel="stylesheet" href="/${file}">`);
    const scripts = files.filter((file) => file.endsWith('.js')).map((file) => `<script defer src="/${file}"></script>`);
    return [...styles, ...scripts].join('\n');
  }
}

/** Compresses once here, so that the server does not compress at every request. */
class Compressed {
  apply(compiler) {
    compiler.hooks.thisCompilation.tap('Compressed', (compilation) => {
      const stage = Compilation.PROCESS_ASSETS_STAGE_REPORT;
      compilation.hooks.processAssets.tap({ name: 'Compressed', stage }, (assets) => {
        for (const [name, asset] of Object.entries(assets)) {
          if (!/\.(js|css|html|svg|webmanifest)$/.test(name)) continue;
          const bytes = asset.buffer();
          compilation.emitAsset(`${name}.br`, new sources.RawSource(brotliCompressSync(bytes)));
          compilation.emitAsset(`${name}.gz`, new sources.RawSource(gzipSync(bytes, { level: 9 })));
        }
      });
    });
  }
}

/** Fails when what a person loads until her first answer outgrows what is promised. */
class Budget {
  constructor(/** @type {number} bytes of gzipped JavaScript */ most) {
    this.most = most;
  }

  apply(compiler) {
    compiler.hooks.afterEmit.tap('Budget', (compilation) => {
      const groups = ['main', 'signed'].map((name) => compilation.namedChunkGroups.get(name));
      const files = new Set(groups.flatMap((group) => group.getFiles()).filter((file) => file.endsWith('.js')));
      const sizes = [...files].map((file) => gzipSync(readFileSync(path.join(compiler.outputPath, file)), { level: 9 }).length);
      const size = sizes.reduce((sum, one) => sum + one, 0);
      if (size > this.most) compilation.errors.push(new webpack.WebpackError(`The page is ${size} bytes of gzipped JavaScript; the budget is ${this.most}.`));
    });
  }
}

/** Takes what needs no building as it is. */
class Public {
  apply(compiler) {
    const folder = path.join(here, 'public');
    compiler.hooks.thisCompilation.tap('Public', (compilation) => {
      const stage = Compilation.PROCESS_ASSETS_STAGE_ADDITIONAL;
      compilation.contextDependencies.add(folder);
      compilation.hooks.processAssets.tap({ name: 'Public', stage }, () => {
        for (const name of readdirSync(folder)) {
          compilation.emitAsset(name, new sources.RawSource(readFileSync(path.join(folder, name))));
        }
      });
    });
  }
}

export default (_, { mode }) => {
  const production = mode === 'production';
  return {
    context: here,
    entry: { main: './src/main.tsx', silent: './src/session/silent.ts' },
    output: {
      path: path.join(here, 'dist'),
      publicPath: '/',
      filename: 'assets/[name].[contenthash:12].js',
      cssFilename: 'assets/[name].[contenthash:12].css',
      clean: { keep: /\.gitkeep/ },
      // The Content Security Policy lists this name; chunks are loaded through it.
      trustedTypes: { policyName: 'bailiwick-chunks' },
    },
    resolve: { extensions: ['.ts', '.tsx', '.js'] },
    module: {
      rules: [{ test: /\.tsx?$/, loader: 'ts-loader', options: { transpileOnly: true, compilerOptions: { noEmit: false } } }],
    },
    experiments: { css: true },
    optimization: {
      splitChunks: {
        cacheGroups: {
          // Shared by the page and the silent sign-in.
          oidc: { test: /node_modules\/(oidc-client-ts|jwt-decode)\//, name: 'oidc', chunks: 'all' },
        },
      },
    },
    // `eval` is what the Content Security Policy forbids.
    devtool: production ? false : 'source-map',
    performance: { hints: false },
    stats: production ? 'errors-warnings' : 'minimal',
    plugins: [
      new Pages({ 'index.html': 'main', 'silent-callback.html': 'silent' }),
      new Public(),
      new InjectManifest({
        swSrc: './src/worker/sw.ts',
        swDest: 'sw.js',
        exclude: [/\.(map|br|gz|txt|png)$/, /^silent-callback/, /assets\/silent\./],
        mode: production ? 'production' : 'development',
      }),
      ...(production ? [new Compressed(), new Budget(60_000)] : []),
    ],
  };
};
