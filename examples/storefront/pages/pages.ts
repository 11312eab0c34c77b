/** The pages of the shop: what they ask the API, and what they show of it. */
import type { Request } from 'selvedge/router';
import { findProduct, listProducts, type Product, stockOf } from './api.ts';
import { type Currency, currencyOf, html, type Page, type Raw } from './layout.ts';

export async function home(request: Request): Promise<Page> {
  const products = await listProducts();
  const currency = currencyOf(request);
  const { html: body } = html`
    <section class="hero">
      <h1>Two threads.<br>Everything else is patience.</h1>
      <p>Linen, wool, cotton and silk from looms that are older than we are. Sold by the metre, with the selvedge on.</p>
    </section>
    <section class="goods" aria-label="All cloth">${products.map((product) => card(product, currency))}</section>`;
  return { title: 'Warp & Weft, cloth merchants', body };
}

const card = (product: Product, currency: Currency): Raw => html`
  <a class="card" href="/cloth/${product.id}">
    <img src="/images/${product.image}" alt="${product.imageText}" width="510" height="520">
    <span class="card-name">${product.name}</span>
    <span class="card-weave">${product.weave}</span>
    <span class="price">${price(product, currency)}</span>
  </a>`;

export async function product(request: Request): Promise<Page> {
  const id = String(request.params.id);
  const [product, stock] = await Promise.all([findProduct(id), stockOf(id)]);
  if (product === null) return nothingHere();
  const { html: body } = html`
    <article class="cloth">
      <img class="cloth-picture" src="/images/${product.image}" alt="${product.imageText}" width="510" height="520">
      <div>
        <p class="card-weave">${product.weave}</p>
        <h1>${product.name}</h1>
        <p class="lead">${product.text}</p>
        <p class="price">${price(product, currencyOf(request))} <small>per metre</small></p>
        <dl>
          <dt>Fibre</dt><dd>${product.fibre}</dd>
          <dt>Weight</dt><dd>${product.gramsPerSquareMetre} g/m²</dd>
          <dt>Width</dt><dd>${product.widthCm} cm, selvedge to selvedge</dd>
          <dt>On the roll</dt><dd>${stock === null ? 'ask us' : `${stock.metres} m`}</dd>
        </dl>
        <p><a href="/">All cloth</a></p>
      </div>
    </article>`;
  return { title: `${product.name}, Warp & Weft`, body };
}

export function nothingHere(): Page {
  const { html: body } = html`
    <section class="hero">
      <h1>A dropped stitch.</h1>
      <p>There is no page at this address. <a href="/">All our cloth</a> is where it was.</p>
    </section>`;
  return { title: 'Not found, Warp & Weft', body, status: 404 };
}

function price({ priceCents }: Product, currency: Currency): string {
  const format = new Intl.NumberFormat('en', { style: 'currency', currency: currency.toUpperCase() });
  return format.format(priceCents[currency] / 100);
}
