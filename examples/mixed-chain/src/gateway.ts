// The edge: users' requests begin here. NestJS, and a client of gRPC.
import 'reflect-metadata'
import { credentials } from '@grpc/grpc-js'
import { createKestInterceptor } from '@kest/grpc'
import { KestModule, Protect } from '@kest/nestjs'
import { Controller, Get, Module, Param } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { Answer } from './answer.js'
import { StockClient } from './stock-service.js'
import type { Workload } from './workload.js'

export async function startGateway({ kest }: Workload, stock: string) {
  const target = `http://${stock}`
  const client = new StockClient(stock, credentials.createInsecure(), {
    interceptors: [createKestInterceptor({ kest, target, propagateTo: [target] })],
  })
  const ask = (id: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      client['get']?.({ id }, (error: Error | null, answer: Answer) =>
        error === null ? resolve(answer) : reject(error),
      )
    })

  @Controller('orders')
  class OrdersController {
    @Get(':id')
    @Protect({ policy: 'shop/read' })
    async find(@Param('id') id: string): Promise<Answer> {
      const answer = await ask(id)
      return { ...answer, hops: ['gateway', ...answer.hops] }
    }
  }

  @Module({ imports: [KestModule.forRoot({ kest, origin: 'user_input' })], controllers: [OrdersController] })
  class AppModule {}

  const app = await NestFactory.create(AppModule, { logger: false })
  await app.listen(0, '127.0.0.1')
  return {
    url: await app.getUrl(),
    async close() {
      client.close()
      await app.close()
    },
  }
}
