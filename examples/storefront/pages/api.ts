/**
 * The shop's API as the pages use it. `API_URL` is a variable of the environment:
 * `selvedge env set API_URL=https://api.example.com`.
 */
import type { Currency } from './layout.ts';

export interface Product {
  readonly id: string;
  readonly name: string;
  readonly weave: string;
  readonly text: string;
  readonly fibre: string;
  readonly gramsPerSquareMetre: number;
  readonly widthCm: number;
  readonly image: string;
  readonly imageText: string;
  readonly priceCents: Readonly<Record<Currency, number>>;
}

export interface Stock {
  readonly metres: number;
}

export async function listProducts(): Promise<readonly Product[]> {
  const { products } = (await get<{ products: Product[] }>('/products')) ?? { products: [] };
  return products;
}
export const findProduct = (id: string): Promise<Product | null> => get(`/products/${encodeURIComponent(id)}`);
export const stockOf = (id: string): Promise<Stock | null> => get(`/stock/${encodeURIComponent(id)}`);

/** Null when the API has no such thing. Any other failure is thrown: the visitor then gets the page of `catch`. */
async function get<Answer>(path: string): Promise<Answer | null> {
  const response = await fetch(`${process.env.API_URL}${path}`);
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`the API answered ${path} with ${response.status}`);
  return (await response.json()) as Answer;
}
